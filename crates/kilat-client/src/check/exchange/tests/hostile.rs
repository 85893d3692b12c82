//! Replies that break the rules, never end, or lead elsewhere.

use super::server::{Server, reply};
use super::*;

#[test]
fn a_reply_comes_back_whole() {
    let server = Server::saying(reply("404 Not Found", "X-Y: z\r\n", "{\"error\":1}"));
    assert_eq!(ask(&options(), &server.uri("/a?b=c")), Ok((404, "{\"error\":1}".to_owned())));
    let head = &server.seen()[0].head;
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
}
