//! Which processes `kilat up` runs, and with which arguments.
//!
//! Secrets travel in the environment, which other users can't read; never as arguments.

use super::keeper::KEPT_BY;
use crate::failure::Failure;
use crate::lang::Lang;
use crate::listen::listen;
use crate::settings::Settings;
use kilat_server::supervisor::{Ready, Spec};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Socket of the core in the data directory, as `kilat core` has it by default.
const CORE_SOCKET: &str = "core.sock";

/// Name of the one that all others need.
pub(super) const CORE: &str = "core";

/// What was asked for.
pub(super) struct Plan<'a> {
    pub(super) replicas: u16,
    /// The replicas' names are this and a number.
    pub(super) node: String,
    /// Certificates and private key.
    pub(super) tls: Option<(PathBuf, PathBuf)>,
    pub(super) child_log: String,
    pub(super) settings: &'a Settings,
    pub(super) lang: Lang,
}

/// What is run, and where people find what they don't ask the gateway for.
pub(super) struct Specs {
    pub(super) specs: Vec<Spec>,
    /// Where the lookups are, if they are served.
    pub(super) lookups: Option<SocketAddr>,
}

impl Plan<'_> {
    /// The processes in the order of their start. Ports that are not asked for are free now.
    ///
    /// # Errors
    /// [`Failure`] when a port that was asked for is in use, or none is free.
    pub(super) fn specs(&self, data: &Path) -> Result<Specs, Failure> {
        let listen = free(self.settings.listen, self.lang)?;
        let lookups = self.lookups()?;
        let mut specs = vec![self.core(data)?];
        let mut addresses = Vec::new();
        for number in 1..=self.replicas {
            // Beside the public port if that is free, so that people recognize it.
            let wanted = loopback(listen.port().saturating_add(number));
            let address = free(wanted, self.lang).or_else(|_| free(loopback(0), self.lang))?;
            addresses.push(address);
            specs.push(self.replica(number, address, lookups, data)?);
        }
        specs.push(self.gateway(listen, &addresses)?);
        Ok(Specs { specs, lookups })
    }

    /// Where people go.
    pub(super) fn url(&self, specs: &[Spec]) -> String {
        specs.last().map(|gateway| gateway.address.clone()).unwrap_or_default()
    }

    fn name(&self, number: u16) -> String {
        format!("{}-{number}", self.node)
    }

    fn core(&self, data: &Path) -> Result<Spec, Failure> {
        let socket = data.join(CORE_SOCKET);
        // That its socket takes connections says nothing: a process that stands still does that.
        let health = free(loopback(0), self.lang)?;
        let mut arguments = words(&["core", "--demo-sale", "--node", "core", "--data"]);
        arguments.push(data.into());
        arguments.extend(words(&["--listen", &format!("unix://{}", socket.display())]));
        arguments.extend(words(&["--admin", &health.to_string()]));
        self.spec(CORE, arguments, Ready::Http(health), "core.sock".to_owned(), &[])
    }

    /// Where all replicas serve the lookups, so that they are there while one of them is not.
    fn lookups(&self) -> Result<Option<SocketAddr>, Failure> {
        let listener = self.settings.lookup_listen.listen(false, self.lang)?;
        Ok(listener.and_then(|listener| listener.local_addr().ok()))
    }

    fn replica(
        &self,
        number: u16,
        address: SocketAddr,
        lookups: Option<SocketAddr>,
        data: &Path,
    ) -> Result<Spec, Failure> {
        let name = self.name(number);
        let core = format!("core://{}", data.join(CORE_SOCKET).display());
        let lookups = match lookups {
            Some(address) => words(&["--lookup-listen", &address.to_string(), "--lookup-shared"]),
            None => words(&["--lookup-listen", "none"]),
        };
        let settings = self.settings;
        let mut arguments = words(&["serve", "--node", &name]);
        arguments.extend(words(&["--listen", &address.to_string()]));
        arguments.extend(words(&["--ledger", &core, "--events", &core]));
        arguments.extend(lookups);
        arguments.extend(words(&["--lanes", &settings.lanes.to_string()]));
        arguments.extend(words(&["--connections-max", &settings.connections_max.to_string()]));
        let behind_tls = settings.behind_tls || self.tls.is_some();
        arguments.push(format!("--behind-tls={behind_tls}").into());
        let shown = format!("http://{address}");
        self.spec(&name, arguments, Ready::Http(address), shown, &[CORE])
    }

    fn gateway(&self, listen: SocketAddr, replicas: &[SocketAddr]) -> Result<Spec, Failure> {
        let health = free(loopback(0), self.lang)?;
        let mut arguments = words(&["gateway", "--listen", &listen.to_string()]);
        arguments.extend(words(&["--admin-listen", &health.to_string()]));
        let most = self.settings.connections_max.to_string();
        arguments.extend(words(&["--connections-max", &most]));
        for replica in replicas {
            arguments.extend(words(&["--replica", &format!("http://{replica}")]));
        }
        if let Some((cert, key)) = &self.tls {
            arguments.extend(["--tls-cert".into(), cert.into(), "--tls-key".into(), key.into()]);
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let names: Vec<String> = (1..=self.replicas).map(|number| self.name(number)).collect();
        let after: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = format!("{scheme}://{listen}");
        self.spec("gateway", arguments, Ready::Http(health), shown, &after)
    }

    fn spec(
        &self,
        name: &str,
        mut arguments: Vec<OsString>,
        ready: Ready,
        address: String,
        after: &[&str],
    ) -> Result<Spec, Failure> {
        arguments.extend(words(&["--log", &self.child_log]));
        arguments.push(format!("--log-json={}", self.settings.log_json).into());
        if let Some(otlp) = &self.settings.traces.otlp {
            arguments.extend(words(&["--otlp", otlp]));
        }
        if let Some(ratio) = self.settings.traces.trace_ratio {
            arguments.extend(words(&["--trace-ratio", &ratio.to_string()]));
        }
        let program = std::env::current_exe()
            .map_err(|e| Failure::failed(format!("this program can't be found again ({e})")))?;
        Ok(Spec {
            name: name.to_owned(),
            program,
            arguments,
            environment: self.environment(),
            ready,
            address,
            after: after.iter().map(ToString::to_string).collect(),
        })
    }

    /// What this process has, but of what is meant for it only the secrets.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let ours = |name: &OsString| name.to_string_lossy().starts_with("KILAT_");
        let mut all: Vec<(OsString, OsString)> =
            std::env::vars_os().filter(|(name, _)| !ours(name)).collect();
        all.push((KEPT_BY.into(), std::process::id().to_string().into()));
        // Why one can't start is shown to whoever reads this process.
        all.push(("KILAT_LANG".into(), self.lang.code().into()));
        let settings = self.settings;
        let secrets = [
            ("KILAT_ADMIN_TOKEN", &settings.admin_token),
            ("KILAT_API_TOKEN", &settings.api_token),
            ("KILAT_CUSTOMER_KEY", &settings.customer_key),
            ("KILAT_PUBLISH_TOKEN", &settings.publish_token),
            ("KILAT_SECRET", &settings.secret),
        ];
        for (name, value) in secrets {
            all.extend(value.as_ref().map(|value| (name.into(), value.into())));
        }
        all
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The address with a port that is free now; its process takes it in a moment.
fn free(address: SocketAddr, lang: Lang) -> Result<SocketAddr, Failure> {
    listen(address, "--listen", lang)?
        .local_addr()
        .map_err(|e| Failure::failed(format!("the port of {address} can't be found out ({e})")))
}
