//! Where the stampede connects to.

use super::options::Plan;
use crate::http::parse_base;
use crate::{ClientError, Lang};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// The addresses of the server and what its requests begin with.
pub(crate) struct Target {
    /// Value of the `host` header.
    pub host: String,
    /// Path in front of the contract's, without a slash at its end.
    pub prefix: String,
    addresses: Vec<SocketAddr>,
    current: usize,
}

impl Target {
    /// # Errors
    /// [`ClientError::Usage`] for an address that can't be read,
    /// [`ClientError::Unreachable`] for a name without an address.
    pub(crate) fn resolve(plan: &Plan, lang: Lang) -> Result<Target, ClientError> {
        let uri = parse_base(&plan.url, lang)?;
        let name = uri.host().unwrap_or_default();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let found = (bare, uri.port_u16().unwrap_or(80)).to_socket_addrs();
        let unreachable = |why: String| {
            ClientError::Unreachable(
                lang.say("error.unreachable", &[("url", &plan.url), ("why", &why)]),
            )
        };
        let addresses: Vec<SocketAddr> = found.map_err(|e| unreachable(e.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(unreachable(bare.to_owned()));
        }
        Ok(Target {
            host: uri.authority().map_or_else(String::new, ToString::to_string),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            addresses,
            current: 0,
        })
    }

    /// The address to connect to now.
    pub(crate) fn address(&self) -> SocketAddr {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        self.addresses.get(self.current).copied().unwrap_or(nobody)
    }

    /// After a failed connect: another of the name's addresses.
    pub(crate) fn try_next(&mut self) {
        self.current = (self.current + 1) % self.addresses.len();
    }
}
