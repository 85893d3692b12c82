//! Whom a command of an operator talks to, and the admin token that it shows there.

use crate::cli::SHARED;
use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::secrets::{ADMIN_TOKEN_FILE, find_admin_token};
use clap::Args;
use kilat_client::{Access, ClientError, Token};
use std::path::PathBuf;
use std::time::Duration;

/// A server and the right to change it.
#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    /// The server.
    #[arg(
        long,
        global = true,
        env = "KILAT_URL",
        default_value = "http://127.0.0.1:8080",
        display_order = SHARED
    )]
    url: String,
    /// The server's data directory: its admin token is read from there.
    #[arg(
        long,
        global = true,
        env = "KILAT_DATA",
        default_value = "./kilat-data",
        value_name = "DIR",
        display_order = SHARED
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

    /// Says where the admin token was looked for, if that is what was lacking.
    pub(crate) fn explainer(&self, lang: Lang) -> impl Fn(ClientError) -> Failure + use<> {
        let file = self.data.join(ADMIN_TOKEN_FILE);
        move |error| match error {
            ClientError::NoAdminToken(_) => {
                Failure::usage(say!(lang, "operator.no_token", file = file.display()))
            }
            other => other.into(),
        }
    }
}
