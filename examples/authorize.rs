//! cargo run -p sockeye-examples --example authorize
//!
//! Only a client with a valid token gets a WebSocket: `sockeye connect 'ws://127.0.0.1:9000/account?token=secret-1'`.

use std::{collections::HashMap, sync::Arc};

use axum::http::StatusCode;
use sockeye::{
    ClientId, Endpoint, Error, Message, Origins, Refusal, Reply, Request, Route, Server, Session,
    identity::FromToken,
};

/// What the database knows of a client.
#[derive(Clone)]
struct Account {
    name: Arc<str>,
}

/// Stands for a query to a database, which takes time.
async fn look_up(client: Option<ClientId>) -> Option<Account> {
    let client = client?;
    (client.as_str() == "ada").then(|| Account { name: "Ada".into() })
}

async fn authorize(request: Arc<Request>) -> Result<Account, Refusal> {
    let account = look_up(request.client_id().cloned()).await;
    account.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN).body("this account is closed\n"))
}

struct Greeter(Account);

impl Endpoint for Greeter {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Message(format!("hello {}", self.0.name).into())
    }
}

/// Makes the endpoint of one connection, after `authorize` and before the answer 101.
fn greeter(request: &Request) -> Result<Greeter, Refusal> {
    let account = request.extensions().get::<Account>();
    let account = account.ok_or_else(|| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR))?;
    Ok(Greeter(account.clone()))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let ada = ClientId::new("ada").expect("a valid name");
    let tokens = HashMap::from([("secret-1".to_owned(), ada)]);
    let route = Route::new("/account", greeter)
        // 401 without a valid token, in `Authorization: Bearer …` or in the query.
        .identify(FromToken::new(tokens).required())
        // May wait for a database. Its error is the HTTP answer.
        .authorize(authorize)
        // The token proves who the client is, so pages of every origin may connect.
        .origins(Origins::Any);
    Server::bind("127.0.0.1:9000").mount(route).serve().await
}
