//! The server.

use std::{cell::RefCell, io};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

/// Serves for ever.
pub(crate) async fn serve() -> io::Result<()> {
    bench_door::Asked::read().plain_only();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    bench_door::listening(listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(echo(socket));
    }
}

thread_local! {
    /// A buffer for each connection would cost cache misses.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES_MAX]);
}

async fn echo(mut socket: TcpStream) -> io::Result<()> {
    loop {
        socket.readable().await?;
        let unsent = BUFFER.with_borrow_mut(|buffer| -> io::Result<Option<Vec<u8>>> {
            let count = match socket.try_read(buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Vec::new()));
                }
                Err(error) => return Err(error),
            };
            let sent = match socket.try_write(&buffer[..count]) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            Ok(Some(buffer[sent..count].to_vec()))
        })?;
        match unsent {
            None => return Ok(()),
            Some(unsent) => socket.write_all(&unsent).await?,
        }
    }
}

/// Bytes of one read, for all connections together.
const READ_BYTES_MAX: usize = 256 << 10;
