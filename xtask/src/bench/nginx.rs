//! nginx as a peer: a constant to every purchase, or a load balancer. Its configurations are
//! in `bench/peers/`. Must never know what it is compared with.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::server::{self, Program, Ready, Server};
use crate::process;

/// Of nginx's own constant.
const CONSTANT: &str = "bench/peers/nginx/nginx.conf";

/// One worker that answers a constant.
pub(super) fn constant(folder: &Path, core: Option<usize>) -> Result<Server> {
    start(CONSTANT, &[], Ready::Accepts, folder, core)
}

/// nginx with one of the project's configurations, in which `@NAME@` is replaced.
pub(super) fn start(
    template: &str,
    replacements: &[(&str, SocketAddr)],
    ready: Ready,
    folder: &Path,
    core: Option<usize>,
) -> Result<Server> {
    let address = server::free_address()?;
    let text = fs::read_to_string(template).with_context(|| format!("cannot read {template}"))?;
    let own = [("@PORT@", address)];
    let text = replacements
        .iter()
        .chain(&own)
        .fold(text, |text, (name, address)| text.replace(name, &address.port().to_string()));
    fs::write(folder.join("nginx.conf"), text)?;
    let nginx = process::find("nginx").context("`nginx` is not installed")?;
    Program::new(&nginx, address, core, folder)?
        .arg_path("-p", folder)
        .args(["-c", "nginx.conf"])
        .start(ready)
}
