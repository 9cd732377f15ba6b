//! cargo run -p sockeye-examples --example hub
//!
//! A messaging server of your own: channels with history and recovery, your authorisation, your procedures. The SDKs of
//! Centrifugo connect to `ws://127.0.0.1:9000/connection/websocket`.

use std::time::Duration;

use bytes::Bytes;
use sockeye::Server;
use sockeye_hub::{
    Credentials, Disconnect, ErrorCode, Node, Publishing,
    namespace::{ChannelConfig, ChannelOptions, Namespaces},
};
use sockeye_server::transport::{
    HttpTransportSettings, HttpTransports, WebSocketSettings, websocket_route,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = ChannelOptions {
        history_size: 100,
        history_ttl: Duration::from_secs(300),
        force_recovery: true,
        allow_subscribe_for_client: true,
        allow_publish_for_subscriber: true,
        ..ChannelOptions::default()
    };
    let channels = ChannelConfig {
        without_namespace: options,
        ..ChannelConfig::default()
    };
    let node = Node::builder(Namespaces::new(channels)?)
        .on_connect(|event| async move {
            // Look the session up in your database.
            match event.data.as_ref() {
                b"" => Err(Disconnect::PERMISSION_DENIED.into()),
                name => Ok(Some(Credentials {
                    user: String::from_utf8_lossy(name).into_owned(),
                    ..Credentials::default()
                })),
            }
        })
        .on_rpc(|event| async move {
            match event.method.as_str() {
                "whoami" => Ok(Bytes::from(format!("{:?}", event.client.user))),
                _ => Err(ErrorCode::MethodNotFound.into()),
            }
        })
        .start();
    let without_websocket = HttpTransports::new(&node, HttpTransportSettings::default());
    let publisher = node.clone();
    tokio::spawn(async move {
        for second in 0_u64.. {
            let time = second.to_string();
            if let Err(error) = publisher.publish("time", time, Publishing::default()).await {
                eprintln!("not published: {error}");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let path = "/connection/websocket";
    Server::bind("127.0.0.1:9000")
        .mount(websocket_route(&node, path, WebSocketSettings::default()))
        .fallback(without_websocket.router())
        .serve()
        .await?;
    Ok(())
}
