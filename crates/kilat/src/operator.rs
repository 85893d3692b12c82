//! Whom a command of an operator talks to, and the admin token that it shows there.

use crate::failure::Failure;
use crate::secrets::find_admin_token;
use clap::Args;
use kilat_client::{Access, Token};
use std::path::PathBuf;
use std::time::Duration;

/// A server and the right to change it.
#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    /// The server.
    #[arg(long, global = true, env = "KILAT_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The server's data directory: its admin token is read from there.
    #[arg(
        long,
        global = true,
        env = "KILAT_DATA",
        default_value = "./kilat-data",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// Admin token.
    #[arg(
        long,
        global = true,
        env = "KILAT_ADMIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    admin_token: Option<String>,
}

impl OperatorArgs {
    /// Access to the server, with the token if there is one.
    ///
    /// # Errors
    /// [`Failure`] when there is a token that can't be read.
    pub(crate) fn access(self, timeout: Duration) -> Result<Access, Failure> {
        let token = find_admin_token(self.admin_token, &self.data)?.map(Token::from);
        Ok(Access { url: self.url, token, timeout })
    }
}
