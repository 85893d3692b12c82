//! HTTP/2 requests that a server breaks off: it is not asked again at once, unless it says that
//! it did not look at them.

use super::*;
use crate::check::exchange::Http2;
use h2::Reason;
use h2::server::{self, SendResponse};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::net::TcpListener;

/// How a server ends what it does not answer.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The request, unanswered.
    Request(Reason),
    /// The request, in the middle of its answer.
    Reply(Reason),
    /// The whole connection, in good order.
    Connection,
}

/// Answers the first request of a connection and ends all others so. Returns what it said to the
/// second request, and how many came in all.
fn second(end: End) -> (Result<(u16, String), Setback>, usize) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let result = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, end, Arc::clone(&counted)));
            }
        });
        let knowing = ExchangeOptions { http2: Http2::PriorKnowledge, ..options() };
        let exchange = exchange(&knowing);
        exchange.send(&get(&uri)).await.unwrap();
        exchange.send(&get(&uri)).await.map(told)
    });
    (result, seen.load(SeqCst))
}

async fn serve(stream: tokio::net::TcpStream, end: End, seen: Arc<AtomicUsize>) {
    let mut connection = server::handshake(stream).await.unwrap();
    let mut is_first = true;
    while let Some(Ok((_, respond))) = connection.accept().await {
        seen.fetch_add(1, SeqCst);
        if answer(respond, (!std::mem::take(&mut is_first)).then_some(end)) {
            connection.abrupt_shutdown(Reason::NO_ERROR);
        }
    }
}

/// Whether the whole connection ends.
fn answer(mut respond: SendResponse<Bytes>, end: Option<End>) -> bool {
    let reply = hyper::Response::new(());
    match end {
        None => {
            let mut body = respond.send_response(reply, false).unwrap();
            body.send_data(Bytes::from_static(b"whole"), true).unwrap();
        }
        Some(End::Request(reason)) => respond.send_reset(reason),
        Some(End::Reply(reason)) => {
            let mut body = respond.send_response(reply, false).unwrap();
            body.send_data(Bytes::from_static(b"half"), false).unwrap();
            body.send_reset(reason);
        }
        Some(End::Connection) => return true,
    }
    false
}

#[test]
fn only_what_the_server_did_not_look_at_is_sent_again_at_once() {
    use End::{Reply, Request};
    for (end, is_overload, requests) in [
        (Request(Reason::INTERNAL_ERROR), Some(false), 2),
        (Request(Reason::ENHANCE_YOUR_CALM), Some(true), 2),
        (Request(Reason::CANCEL), Some(false), 2),
        (Reply(Reason::INTERNAL_ERROR), Some(false), 2),
        (Reply(Reason::NO_ERROR), None, 2),
        // It says that it did nothing.
        (Request(Reason::REFUSED_STREAM), Some(true), 3),
    ] {
        let (result, seen) = second(end);
        match (result, is_overload) {
            (Err(Setback::BrokenOff { is_overload: found, why }), Some(wanted)) => {
                assert_eq!(found, wanted, "{end:?}: {why}");
            }
            (Err(Setback::Closed), None) => {}
            (result, _) => panic!("{end:?}: {result:?}"),
        }
        assert_eq!(seen, requests, "{end:?}");
    }
    let (result, seen) = second(End::Connection);
    assert_eq!((result, seen), (Ok((200, "whole".to_owned())), 3));
}
