//! An API that answers what a test says, byte for byte, and remembers what it was asked.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// It listens until the test ends.
pub(crate) struct Api {
    pub(crate) url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// `answer` gets the path and query of each request; when it fails the connection ends.
    pub(crate) fn start(
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, seen, answer) = (client.unwrap(), seen.clone(), answer.clone());
                // A client that leaves is no fault.
                std::thread::spawn(move || serve(client, &seen, &*answer));
            }
        });
        Api { url, heads }
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(
    mut client: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &impl Fn(&str, &mut TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().unwrap().push(head);
        answer(&target, &mut client)?;
    }
}

/// A whole reply.
pub(crate) fn reply(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// Writes until nobody reads any more; how many bytes were taken.
pub(crate) fn write_without_end(client: &mut TcpStream, piece: &[u8]) -> usize {
    let mut taken = 0;
    while client.write_all(piece).is_ok() {
        taken += piece.len();
    }
    taken
}
