//! Taking an address to listen on, and what to say when it can't be had.

use crate::failure::Failure;
use crate::lang::{Lang, say};
use socket2::{Domain, Socket, Type};
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: i32 = 4_096;
/// Longest wait to learn whether whoever has an address is a Kilat.
const ASK: Duration = Duration::from_millis(300);

/// Takes `address`, which `option` gave.
///
/// # Errors
/// [`Failure::usage`] that names the address, who has it and the option.
pub(crate) fn listen(
    address: SocketAddr,
    option: &str,
    lang: Lang,
) -> Result<TcpListener, Failure> {
    bind(address, false).map_err(|error| cannot_listen(address, option, &error, lang))
}

/// As the standard library binds, but with a backlog for a stampede: its 128
/// make thousands of buyers wait a second for their first packet to be sent again. `shared` with
/// other processes of this user that share it too, among which the system deals out connections.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Why `address` can't be had, and what to do.
pub(crate) fn cannot_listen(
    address: SocketAddr,
    option: &str,
    error: &io::Error,
    lang: Lang,
) -> Failure {
    match error.kind() {
        ErrorKind::AddrInUse => match kilat_at(address) {
            Some(node) => Failure::usage(say!(
                lang,
                "listen.kilat",
                address = address,
                node = node,
                option = option
            )),
            None => in_use(address, option, lang),
        },
        _ => unusable(address, option, error, lang),
    }
}

/// Somebody has `address`.
pub(crate) fn in_use(address: impl Display, option: &str, lang: Lang) -> Failure {
    Failure::usage(say!(lang, "listen.in_use", address = address, option = option))
}

/// The system does not give `address`.
pub(crate) fn unusable(
    address: impl Display,
    option: &str,
    error: &io::Error,
    lang: Lang,
) -> Failure {
    let why = say!(lang, "listen.unusable", address = address, option = option, why = error);
    Failure::usage(why)
}

/// The name of the Kilat that answers there, if one does.
fn kilat_at(address: SocketAddr) -> Option<String> {
    let reply = ask(address, "/livez")?;
    reply.headers().get("x-kilat-node")?.to_str().ok().map(str::to_owned)
}

/// What whoever has an address of this machine answers, if it is soon.
pub(crate) fn ask(mut address: SocketAddr, path: &str) -> Option<ureq::http::Response<ureq::Body>> {
    if address.ip().is_unspecified() {
        let (four, six) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        address.set_ip(if address.is_ipv4() { four } else { six });
    }
    let asking = ureq::Agent::config_builder()
        .timeout_global(Some(ASK))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .build();
    ureq::Agent::new_with_config(asking).get(format!("http://{address}{path}")).call().ok()
}
