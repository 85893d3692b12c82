//! Secrets that a first start makes and keeps beside the data, readable by the owner only.

use crate::failure::Failure;
use crate::lang::{Lang, say};
use crate::settings::SECRET_CHARS_MIN;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// File with the admin token, inside the data directory.
pub(crate) const ADMIN_TOKEN_FILE: &str = "admin-token";
/// File with the secret from which cookie keys are derived.
const SECRET_FILE: &str = "secret";
/// What belongs to a backup: after a restore the same tokens and cookies are good.
pub(crate) const KEPT_FILES: &[&str] = &[ADMIN_TOKEN_FILE, SECRET_FILE];

/// The secrets of a server.
pub(crate) struct Secrets {
    pub(crate) admin_token: String,
    pub(crate) secret: String,
    /// Where the admin token is kept; `None` when the operator gave one.
    pub(crate) admin_token_file: Option<PathBuf>,
}

impl Secrets {
    /// Takes what was given, reads what was kept, makes what is missing.
    ///
    /// # Errors
    /// [`Failure`] when a file can't be read or written.
    pub(crate) fn load(
        data: &Path,
        admin_token: Option<String>,
        secret: Option<String>,
    ) -> Result<Secrets, Failure> {
        let file = data.join(ADMIN_TOKEN_FILE);
        let (admin_token, admin_token_file) = match admin_token {
            Some(given) => (given, None),
            None => (read_or_make(&file)?, Some(file)),
        };
        let secret = secret.map_or_else(|| read_or_make(&data.join(SECRET_FILE)), Ok)?;
        Ok(Secrets { admin_token, secret, admin_token_file })
    }

    /// For replicas of the same user on this machine.
    pub(crate) fn to_hand_over(&self) -> String {
        let (admin_token, secret) = (self.admin_token.clone(), self.secret.clone());
        // Two strings can always be written.
        serde_json::to_string(&Handover { admin_token, secret }).unwrap_or_default()
    }

    /// A replica's secrets: what was given wins over what its core handed over.
    ///
    /// # Errors
    /// [`Failure`] when there are none.
    pub(crate) fn of_replica(
        handover: &str,
        admin_token: Option<String>,
        secret: Option<String>,
        lang: Lang,
    ) -> Result<Secrets, Failure> {
        let handed: Option<Handover> = serde_json::from_str(handover).ok();
        let (token, key) = handed.map_or((None, None), |h| (Some(h.admin_token), Some(h.secret)));
        let missing = || Failure::usage(say!(lang, "settings.core_secrets"));
        let admin_token = admin_token.or(token).ok_or_else(missing)?;
        let secret = secret.or(key).ok_or_else(missing)?;
        Ok(Secrets { admin_token, secret, admin_token_file: None })
    }
}

/// What a core hands over to replicas on its machine.
#[derive(Deserialize, Serialize)]
struct Handover {
    admin_token: String,
    secret: String,
}

/// The admin token for a client on the same machine: given, or from the data directory.
///
/// # Errors
/// [`Failure`] when there is a token that can't be read.
pub(crate) fn find_admin_token(
    given: Option<String>,
    data: &Path,
) -> Result<Option<String>, Failure> {
    match given {
        Some(token) => Ok(Some(token)),
        None => read(&data.join(ADMIN_TOKEN_FILE)),
    }
}

fn read_or_make(path: &Path) -> Result<String, Failure> {
    match read(path)? {
        Some(kept) => Ok(kept),
        None => make(path),
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().chars().count() >= SECRET_CHARS_MIN => {
            Ok(Some(text.trim().to_owned()))
        }
        Ok(_) => Err(Failure::usage(format!(
            "{} is damaged: it must hold at least {SECRET_CHARS_MIN} characters; remove it to have a new one made",
            path.display()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::usage(format!(
            "{} can't be read ({error}): check its rights",
            path.display()
        ))),
    }
}

/// Written whole under another name first, so that a crash leaves no half secret.
fn make(path: &Path) -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::failed(format!("the system gives no random numbers ({e})")))?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        writeln!(file, "{secret}")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|e| {
        Failure::failed(format!(
            "{} can't be written ({e}): check rights and space",
            path.display()
        ))
    })?;
    Ok(secret)
}
