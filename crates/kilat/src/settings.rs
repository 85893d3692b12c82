//! Settings of a server: flags over environment over file over defaults.

use crate::cli::{CoreArgs, ServeArgs};
use crate::failure::Failure;
use crate::help;
use crate::lang::{Lang, say};
use crate::lookup::Beside;
use crate::otlp::TraceArgs;
use kilat_engine::{AddressError, CoreAddress, StoreAddress};
use kilat_server::is_node_name;
use serde::{Deserialize, Serialize, Serializer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Shortest token or secret, in characters: 32 hexadecimal digits are 128 bits.
pub(crate) const SECRET_CHARS_MIN: usize = 32;

/// Socket of a core in its data directory, unless another address is given.
const CORE_SOCKET: &str = "core.sock";

/// The settings file. Every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    ledger: Option<String>,
    ledger_may_lose: Option<bool>,
    ledger_stripes: Option<u16>,
    events: Option<String>,
    core_listen: Option<String>,
    core_admin: Option<SocketAddr>,
    node: Option<String>,
    open_to_strangers: Option<bool>,
    lanes: Option<usize>,
    connections_max: Option<usize>,
    lookup_listen: Option<Beside>,
    log: Option<String>,
    log_json: Option<bool>,
    otlp: Option<String>,
    trace_ratio: Option<f64>,
    behind_tls: Option<bool>,
    admin_token: Option<String>,
    api_token: Option<String>,
    customer_key: Option<String>,
    publish_token: Option<String>,
    secret: Option<String>,
}

/// The settings in force.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    #[serde(serialize_with = "without_password")]
    ledger: Option<String>,
    pub(crate) ledger_may_lose: bool,
    pub(crate) ledger_stripes: u16,
    #[serde(serialize_with = "without_password")]
    events: Option<String>,
    core_listen: Option<String>,
    pub(crate) core_admin: Option<SocketAddr>,
    /// The core that has the event log, and the ledger too unless a store has it; `None` when
    /// both are in the data directory.
    #[serde(skip)]
    pub(crate) core: Option<CoreAddress>,
    /// The store that has the ledger.
    #[serde(skip)]
    pub(crate) store: Option<StoreAddress>,
    /// The store that has the event log, beside a ledger in a store.
    #[serde(skip)]
    pub(crate) event_store: Option<StoreAddress>,
    pub(crate) node: String,
    pub(crate) open_to_strangers: bool,
    pub(crate) lanes: usize,
    pub(crate) connections_max: usize,
    pub(crate) lookup_listen: Beside,
    #[serde(skip)]
    pub(crate) lookup_shared: bool,
    pub(crate) log: String,
    pub(crate) log_json: bool,
    #[serde(flatten)]
    pub(crate) traces: TraceArgs,
    pub(crate) behind_tls: bool,
    #[serde(skip)]
    pub(crate) admin_token: Option<String>,
    #[serde(skip)]
    pub(crate) api_token: Option<String>,
    #[serde(skip)]
    pub(crate) customer_key: Option<String>,
    #[serde(skip)]
    pub(crate) publish_token: Option<String>,
    #[serde(skip)]
    pub(crate) secret: Option<String>,
    /// In which mistakes are told.
    #[serde(skip)]
    lang: Lang,
}

impl Settings {
    /// Puts the layers together and refuses what can't work, before anything is touched.
    ///
    /// # Errors
    /// [`Failure::usage`] that names the setting and the remedy.
    pub(crate) fn resolve(args: ServeArgs, lang: Lang) -> Result<Settings, Failure> {
        let file = args.config.as_deref().map(|path| read(path, lang)).transpose()?;
        let file = file.unwrap_or_default();
        let secrets = args.secrets;
        let mut settings = Settings {
            listen: args
                .listen
                .or(file.listen)
                .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
            data: args.data.or(file.data).unwrap_or_else(|| PathBuf::from("./kilat-data")),
            ledger: args.ledger.or(file.ledger),
            ledger_may_lose: args.ledger_may_lose.or(file.ledger_may_lose).unwrap_or(false),
            ledger_stripes: args.ledger_stripes.or(file.ledger_stripes).unwrap_or(1),
            events: args.events.or(file.events),
            core_listen: file.core_listen,
            core_admin: file.core_admin,
            core: None,
            store: None,
            event_store: None,
            node: args.node.or(file.node).unwrap_or_else(host_name),
            open_to_strangers: args.open_to_strangers.or(file.open_to_strangers).unwrap_or(false),
            lanes: args.lanes.or(file.lanes).unwrap_or_else(half_of_the_cores),
            connections_max: args.connections_max.or(file.connections_max).unwrap_or(16_384),
            lookup_listen: args.lookup_listen.or(file.lookup_listen).unwrap_or_default(),
            lookup_shared: args.lookup_shared,
            log: args.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_json: args.log_json.or(file.log_json).unwrap_or(false),
            traces: args.traces.or(TraceArgs { otlp: file.otlp, trace_ratio: file.trace_ratio }),
            behind_tls: args.behind_tls.or(file.behind_tls).unwrap_or(false),
            admin_token: secrets.admin_token.or(file.admin_token),
            api_token: secrets.api_token.or(file.api_token),
            customer_key: args.customer_key.or(file.customer_key),
            publish_token: secrets.publish_token.or(file.publish_token),
            secret: secrets.secret.or(file.secret),
            lang,
        };
        settings.store = settings.find_store()?;
        settings.event_store = settings.find_event_store()?;
        settings.core = settings.find_core()?;
        settings.check()?;
        Ok(settings)
    }

    /// Puts a core's layers together: those of a server, with a core's own addresses.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub(crate) fn of_core(args: CoreArgs, lang: Lang) -> Result<Settings, Failure> {
        let CoreArgs { listen, data, admin, config, node, log, log_json, traces, .. } = args;
        let secrets = args.secrets;
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let common = ServeArgs {
            data,
            config,
            node,
            log,
            log_json,
            traces,
            secrets,
            ..ServeArgs::default()
        };
        let mut settings = Settings::resolve(ServeArgs { listen: Some(nowhere), ..common }, lang)?;
        if settings.core.is_some() || settings.store.is_some() {
            return Err(Failure::usage(say!(lang, "settings.core_holds_both")));
        }
        settings.core_listen = listen.or(settings.core_listen);
        settings.core_admin = admin.or(settings.core_admin);
        if let Some(admin) = settings.core_admin
            && let Some((what, remedy)) = settings.open_at(admin)
        {
            let refused = say!(
                lang,
                "settings.open_core",
                address = admin,
                what = say!(lang, what),
                remedy = say!(lang, remedy)
            );
            return Err(Failure::usage(refused));
        }
        Ok(settings)
    }

    /// Where replicas come.
    ///
    /// # Errors
    /// [`Failure::usage`] when that is no address.
    pub(crate) fn core_listen(&self) -> Result<CoreAddress, Failure> {
        match &self.core_listen {
            Some(address) => address.parse().map_err(|e| self.no_address(&e)),
            None => {
                let data = std::path::absolute(&self.data).unwrap_or_else(|_| self.data.clone());
                Ok(CoreAddress::Unix(data.join(CORE_SOCKET)))
            }
        }
    }

    /// A ledger in a store needs an event log elsewhere, and secrets that all replicas share.
    fn find_store(&self) -> Result<Option<StoreAddress>, Failure> {
        let Some(ledger) = self.ledger.as_ref().filter(|url| !url.starts_with("core:")) else {
            return Ok(None);
        };
        let Ok(store) = ledger.parse::<StoreAddress>() else {
            // It is read as a core's address, which says what one looks like.
            return Ok(None);
        };
        if self.events.is_none() {
            return Err(Failure::usage(say!(self.lang, "settings.no_events", store = store)));
        }
        let missing = [("KILAT_SECRET", &self.secret), ("KILAT_ADMIN_TOKEN", &self.admin_token)];
        match missing.into_iter().find(|(_, value)| value.is_none()) {
            Some((name, _)) => {
                let refused = say!(self.lang, "settings.store_secrets", store = store, name = name);
                Err(Failure::usage(refused))
            }
            None => Ok(Some(store)),
        }
    }

    /// An event log in a store goes with a ledger in one; any other ledger has its own beside it.
    fn find_event_store(&self) -> Result<Option<StoreAddress>, Failure> {
        let Some(Ok(events)) = self.events.as_ref().map(|url| url.parse::<StoreAddress>()) else {
            return Ok(None);
        };
        if self.store.is_some() {
            return Ok(Some(events));
        }
        Err(Failure::usage(say!(self.lang, "settings.only_events", events = events)))
    }

    /// Ledger and event log are behind the same core, or both here, unless a store has the ledger.
    fn find_core(&self) -> Result<Option<CoreAddress>, Failure> {
        if self.event_store.is_some() {
            return Ok(None);
        }
        let parse = |url: &String| url.parse::<CoreAddress>().map_err(|e| self.no_place(&e));
        let events = self.events.as_ref().map(parse).transpose()?;
        let ledger = match self.store {
            Some(_) => events.clone(),
            None => self.ledger.as_ref().map(parse).transpose()?,
        };
        match (&ledger, &events) {
            (None, None) => {}
            (Some(ledger), Some(events)) if ledger == events => {}
            (Some(_), Some(_)) => {
                return Err(Failure::usage(say!(self.lang, "settings.two_cores")));
            }
            _ => {
                return Err(Failure::usage(say!(self.lang, "settings.half_a_core")));
            }
        }
        let needs_secrets = matches!(ledger, Some(CoreAddress::Tcp(_)));
        if needs_secrets && (self.secret.is_none() || self.admin_token.is_none()) {
            return Err(Failure::usage(say!(self.lang, "settings.core_secrets")));
        }
        Ok(ledger)
    }

    fn no_address(&self, error: &AddressError) -> Failure {
        Failure::usage(help::in_language(&error.to_string(), self.lang))
    }

    /// Of what may be a core's address or a store's.
    fn no_place(&self, error: &AddressError) -> Failure {
        let why = help::in_language(&error.to_string(), self.lang);
        Failure::usage(say!(self.lang, "settings.no_place", why = why))
    }

    /// Threads of the full lane.
    pub(crate) fn workers(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// The settings as a file would have them, without secrets.
    ///
    /// # Errors
    /// [`Failure::usage`] when a file can't have them, as a path that is not UTF-8.
    pub(crate) fn print(&self) -> Result<String, Failure> {
        toml::to_string_pretty(self)
            .map_err(|e| Failure::usage(say!(self.lang, "settings.no_file", error = e)))
    }

    fn check(&self) -> Result<(), Failure> {
        self.check_secrets()?;
        self.check_strangers()?;
        self.traces.check(self.lang)?;
        self.check_range("lanes", self.lanes, 64)?;
        self.check_range("connections_max", self.connections_max, 1_000_000)?;
        if !is_node_name(&self.node) {
            let given = self.node.escape_default();
            return Err(Failure::usage(say!(self.lang, "settings.node", given = given)));
        }
        Ok(())
    }

    fn check_range(&self, name: &str, given: usize, most: usize) -> Result<(), Failure> {
        if (1..=most).contains(&given) {
            return Ok(());
        }
        let refused = say!(self.lang, "settings.range", name = name, given = given, most = most);
        Err(Failure::usage(refused))
    }

    fn check_secrets(&self) -> Result<(), Failure> {
        let secrets = [
            ("KILAT_ADMIN_TOKEN", &self.admin_token),
            ("KILAT_API_TOKEN", &self.api_token),
            ("KILAT_CUSTOMER_KEY", &self.customer_key),
            ("KILAT_PUBLISH_TOKEN", &self.publish_token),
            ("KILAT_SECRET", &self.secret),
        ];
        for (name, value) in secrets {
            if value.as_ref().is_some_and(|v| v.chars().count() < SECRET_CHARS_MIN) {
                let least = SECRET_CHARS_MIN;
                let refused = say!(self.lang, "settings.short_secret", name = name, least = least);
                return Err(Failure::usage(refused));
            }
        }
        Ok(())
    }

    /// What anybody may do on this machine must not be open to others by oversight.
    fn check_strangers(&self) -> Result<(), Failure> {
        let Some((what, remedy)) = self.open_at(self.listen) else {
            return Ok(());
        };
        Err(Failure::usage(say!(
            self.lang,
            "settings.open",
            address = self.listen,
            what = say!(self.lang, what),
            remedy = say!(self.lang, remedy)
        )))
    }

    /// What strangers could do who reach `address`, and the setting that guards it, as keys of texts.
    fn open_at(&self, address: SocketAddr) -> Option<(&'static str, &'static str)> {
        if self.open_to_strangers || address.ip().is_loopback() {
            return None;
        }
        let guarded = self.api_token.is_some() || self.customer_key.is_some();
        let open = [
            (guarded, "settings.to_order", "settings.order_secrets"),
            (self.publish_token.is_some(), "settings.to_publish", "settings.publish_secret"),
        ];
        let (_, what, remedy) = open.into_iter().find(|(guarded, ..)| !guarded)?;
        Some((what, remedy))
    }
}

/// An address as a file would have it, but for what may be secret in it.
fn without_password<S: Serializer>(url: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    let shown = url.as_ref().map(|url| match url.parse::<StoreAddress>() {
        Ok(store) => store.to_string(),
        Err(_) => url.clone(),
    });
    shown.serialize(to)
}

fn read(path: &Path, lang: Lang) -> Result<File, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::usage(say!(lang, "settings.unreadable", file = shown, error = e)))?;
    toml::from_str(&text).map_err(|e| {
        let place = place_of(&e, &text, lang);
        let mistake = help::in_language(e.message(), lang);
        Failure::usage(say!(
            lang,
            "settings.mistake",
            file = shown,
            place = place,
            mistake = mistake
        ))
    })
}

/// Line and key of a mistake, as the end of a phrase; never the value, which may be a secret.
fn place_of(error: &toml::de::Error, text: &str, lang: Lang) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(number) = before.map(|before| before.matches('\n').count()) else {
        return String::new();
    };
    let line = text.lines().nth(number).unwrap_or_default();
    let place = say!(lang, "settings.line", number = number + 1);
    match line.split_once('=') {
        Some((key, _)) => format!(" {place} ({})", key.trim()),
        None => format!(" {place}"),
    }
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if is_node_name(&name) { name } else { "kilat".to_owned() }
}

fn half_of_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SecretArgs;

    fn check(args: ServeArgs, says: &str) {
        let message = Settings::resolve(args, Lang::English).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_remedy() {
        let args = ServeArgs::default;
        check(
            ServeArgs { listen: Some("0.0.0.0:1".parse().unwrap()), ..args() },
            "--open-to-strangers",
        );
        let none = SecretArgs::default;
        let shop = Some("s".repeat(40));
        let strangers = ServeArgs { listen: Some("0.0.0.0:1".parse().unwrap()), ..args() };
        let with = |secrets| ServeArgs { secrets, ..strangers.clone() };
        let orders = SecretArgs { api_token: shop.clone(), ..none() };
        check(with(orders.clone()), "KILAT_PUBLISH_TOKEN");
        check(with(SecretArgs { publish_token: shop.clone(), ..none() }), "KILAT_API_TOKEN");
        assert!(
            Settings::resolve(with(SecretArgs { publish_token: shop, ..orders }), Lang::English)
                .is_ok()
        );
        let short = Some("short".to_owned());
        let with = |secrets| ServeArgs { secrets, ..args() };
        check(with(SecretArgs { publish_token: short.clone(), ..none() }), "KILAT_PUBLISH_TOKEN");
        check(with(SecretArgs { admin_token: short, ..none() }), "KILAT_ADMIN_TOKEN");
        check(ServeArgs { lanes: Some(0), ..args() }, "lanes");
        check(ServeArgs { connections_max: Some(0), ..args() }, "connections_max");
        check(ServeArgs { node: Some("a b".into()), ..args() }, "node");
        check(ServeArgs { config: Some("/nonexistent".into()), ..args() }, "can't be read");
    }

    #[test]
    fn a_replica_has_one_core_and_over_tcp_its_secrets() {
        let given = |url: &str| Some(url.to_owned());
        let secret = || given("0123456789abcdef0123456789abcdef");
        let args = |ledger: &str, events: &str| ServeArgs {
            ledger: Some(ledger.to_owned()).filter(|url| !url.is_empty()),
            events: Some(events.to_owned()).filter(|url| !url.is_empty()),
            ..ServeArgs::default()
        };
        check(args("core:///a", ""), "only one of");
        check(args("", "core:///a"), "only one of");
        check(args("core:///a", "core:///b"), "different cores");
        check(args("core", "core"), "core://host:port");
        check(args("", "postgres://u:secret@h/d"), "--ledger postgres://");
        check(args("core://a:1", "postgres://h/d"), "--ledger postgres://");
        check(args("core://a:1", "core://a:1"), "KILAT_SECRET");
        let with = |secrets| ServeArgs { secrets, ..args("core://a:1", "core://a:1") };
        let none = SecretArgs::default;
        check(with(SecretArgs { secret: secret(), ..none() }), "KILAT_ADMIN_TOKEN");
        let both = SecretArgs { secret: secret(), admin_token: secret(), ..none() };
        assert!(Settings::resolve(with(both), Lang::English).unwrap().core.is_some());
        assert!(
            Settings::resolve(args("core:///a", "unix:///a"), Lang::English)
                .unwrap()
                .core
                .is_some()
        );
        let core = CoreArgs { admin: "0.0.0.0:1".parse().ok(), ..CoreArgs::default() };
        assert!(
            Settings::of_core(core.clone(), Lang::English)
                .unwrap_err()
                .to_string()
                .contains("127.0.0.1")
        );
        let with = |secrets| CoreArgs { secrets, ..core.clone() };
        let orders = SecretArgs { api_token: secret(), ..none() };
        let said = Settings::of_core(with(orders.clone()), Lang::English).unwrap_err().to_string();
        assert!(said.contains("KILAT_PUBLISH_TOKEN"), "{said}");
        let guarded = SecretArgs { publish_token: secret(), ..orders };
        assert!(Settings::of_core(with(guarded), Lang::English).is_ok());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_unknown_keys_are_refused() {
        let path = std::env::temp_dir().join(format!("kilat-settings-{}.toml", std::process::id()));
        std::fs::write(&path, "node = \"from-file\"\nlanes = 3\n").unwrap();
        let args = ServeArgs {
            config: Some(path.clone()),
            node: Some("from-flag".into()),
            ..Default::default()
        };
        let settings = Settings::resolve(args.clone(), Lang::English).unwrap();
        assert_eq!((settings.node.as_str(), settings.lanes), ("from-flag", 3));
        std::fs::write(&path, "nodes = 1\n").unwrap();
        check(args, "unknown field `nodes`");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn secrets_are_never_printed() {
        let token = "s".repeat(40);
        let args = ServeArgs {
            secrets: SecretArgs {
                admin_token: Some(token.clone()),
                secret: Some(token.clone()),
                ..Default::default()
            },
            ledger: Some(format!("postgres://u:{token}@h/shop")),
            events: Some(format!("postgresql://{token}@h/events?password={token}")),
            ..Default::default()
        };
        let settings = Settings::resolve(args, Lang::English).unwrap();
        assert!(settings.core.is_none() && settings.event_store.is_some());
        let printed = settings.print().unwrap();
        assert!(!printed.contains(&token) && printed.contains("postgres://h/shop"), "{printed}");
    }

    #[test]
    fn a_mistake_in_an_address_prints_no_password() {
        let url = |scheme: &str| Some(format!("{scheme}u:hidden@h/d"));
        for scheme in ["postgre://", "core://", "redi://", "postgres:", ""] {
            for (ledger, events) in [(url(scheme), url(scheme)), (None, url(scheme))] {
                let args = ServeArgs { ledger, events, ..ServeArgs::default() };
                let said = Settings::resolve(args, Lang::English).unwrap_err().to_string();
                assert!(!said.contains("hidden"), "{said}");
            }
        }
    }
}
