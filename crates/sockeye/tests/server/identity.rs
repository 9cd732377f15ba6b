//! Client ids: from the query, a cookie, a token, or a function of the program.

use std::collections::HashMap;

use http::StatusCode;
use sockeye::{
    ClientId, Endpoint, Identify, Message, Refusal, Reply, Request, Route, Server, ServerHandle,
    Session,
    identity::{FromCookie, FromQuery, FromToken},
};

use crate::support::{exchange, open, recv_text, request, status, status_of};

/// Sends the client's id.
struct Greeter(String);

impl Endpoint for Greeter {
    fn on_open(&mut self, session: &Session) {
        session.try_send(self.0.as_str()).unwrap();
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

async fn start(identify: impl Identify) -> ServerHandle {
    let route = Route::new("/", |request: &Request| {
        let name = request.client_id().map_or("nobody", ClientId::as_str);
        Ok(Greeter(name.to_owned()))
    });
    let server = Server::bind("127.0.0.1:0").mount(route.identify(identify));
    server.start().await.unwrap()
}

async fn name(server: &ServerHandle, path: &str, fields: &[&str]) -> String {
    let (mut websocket, _) = open(server.local_addrs()[0], path, fields).await;
    recv_text(&mut websocket).await
}

async fn refused(server: &ServerHandle, path: &str, fields: &[&str]) -> u16 {
    status(server.local_addrs()[0], request(path, fields).as_bytes()).await
}

#[tokio::test]
async fn the_query_names_the_client_and_the_cookie_where_the_query_does_not() {
    let server = start(FromQuery::new("client_id").or(FromCookie::new("who"))).await;
    assert_eq!(
        name(&server, "/?client_id=ann", &["Cookie: who=bob"]).await,
        "ann"
    );
    assert_eq!(
        name(&server, "/?a=1&client_id=M%C3%BCller+7", &[]).await,
        "Müller 7"
    );
    assert_eq!(
        name(&server, "/?client_id=", &["Cookie: a=1; who=bob"]).await,
        "bob"
    );
    assert_eq!(name(&server, "/", &[]).await, "nobody");
}

#[tokio::test]
async fn a_name_that_is_none_is_answered_with_400() {
    let server = start(FromQuery::new("client_id")).await;
    let long = format!("/?client_id={}", "x".repeat(129));
    for path in ["/?client_id=a%0Ab", "/?client_id=%00", &long] {
        assert_eq!(refused(&server, path, &[]).await, 400, "{path}");
    }
}

#[tokio::test]
async fn a_bearer_token_or_one_in_the_query_is_looked_up() {
    let tokens = HashMap::from([("t1".to_owned(), "ann".parse::<ClientId>().unwrap())]);
    let server = start(FromToken::new(tokens)).await;
    assert_eq!(
        name(&server, "/", &["Authorization: bearer t1"]).await,
        "ann"
    );
    assert_eq!(name(&server, "/?token=t1", &[]).await, "ann");
    assert_eq!(
        name(&server, "/", &["Authorization: Basic dDE="]).await,
        "nobody"
    );
    // A request with a wrong token is refused even where none is required.
    assert_eq!(
        refused(&server, "/", &["Authorization: Bearer t2"]).await,
        401
    );
    assert_eq!(refused(&server, "/?token=t2", &[]).await, 401);
}

#[tokio::test]
async fn where_a_token_is_required_a_request_without_one_is_refused() {
    let tokens = |token: &str| (token == "t1").then(|| "ann".parse().unwrap());
    let server = start(FromToken::new(tokens).required().parameter("k")).await;
    assert_eq!(name(&server, "/?k=t1", &[]).await, "ann");
    let answer = exchange(server.local_addrs()[0], request("/", &[]).as_bytes()).await;
    assert_eq!(status_of(&answer), 401);
    assert!(
        answer
            .to_lowercase()
            .contains("www-authenticate: bearer\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn authorize_knows_the_client_id() {
    let route = Route::new("/", |request: &Request| {
        Ok(Greeter(
            request.extensions().get::<String>().unwrap().clone(),
        ))
    })
    .identify(|_: &Request| Ok(Some("ann".parse().unwrap())))
    .authorize(|request| async move {
        let client = request.client_id().ok_or(StatusCode::FORBIDDEN)?;
        Ok::<_, Refusal>(format!("{client} may"))
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    assert_eq!(name(&server, "/", &[]).await, "ann may");
}

#[tokio::test]
async fn an_identify_that_panics_is_one_answer_500() {
    let server = start(|_: &Request| panic!("nobody knows")).await;
    assert_eq!(refused(&server, "/", &[]).await, 500);
    assert_eq!(refused(&server, "/", &[]).await, 500);
}
