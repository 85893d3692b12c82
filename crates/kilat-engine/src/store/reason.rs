//! Why a store can't be used, each with what to change. Names no secret.

/// One sentence of English without its subject, the store. Whoever speaks another language takes the parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreReason {
    /// What the store or the system says, word for word.
    #[error("{0}")]
    Said(String),
    /// The server's version is too old.
    #[error("its version is {found}: install {least} or later")]
    Version {
        /// The server's.
        found: String,
        /// The oldest that will do, with the product's name.
        least: &'static str,
    },
    /// It copies another server, and takes no changes.
    #[error("it is a replica: give the address of the primary")]
    Replica,
    /// User or password are not right.
    #[error("{said}: give the right user and password in its URL")]
    Credentials {
        /// The store's words.
        said: String,
    },
    /// The user lacks a permission.
    #[error("{said}: {allow}")]
    Forbidden {
        /// The store's words.
        said: String,
        /// What to allow.
        allow: Allow,
    },
    /// The server's certificate is not trusted.
    #[error("{said}: check the server's certificate, and {trust}")]
    Certificate {
        /// What is wrong with it.
        said: String,
        /// Where it is said whom to trust.
        trust: Trust,
    },
    /// Memory has come to its end.
    #[error("{said}: raise maxmemory")]
    OutOfMemory {
        /// The store's words.
        said: String,
    },
    /// The store can't write to its disk.
    #[error("{said}: make room on its disk and check its rights there")]
    Disk {
        /// The store's words.
        said: String,
    },
    /// It has no connection left.
    #[error("{said}: raise max_connections on the server, or run fewer processes")]
    Connections {
        /// The store's words.
        said: String,
    },
    /// A setting makes it forget what it acknowledged.
    #[error(
        "{setting} is {found}, so that what was acknowledged can be lost when it stops: set \
         {setting} to {wanted}, or allow it with --ledger-may-lose"
    )]
    NotDurable {
        /// The setting's name.
        setting: &'static str,
        /// As it is.
        found: String,
        /// As it should be.
        wanted: &'static str,
    },
    /// Whether it forgets can't be seen.
    #[error(
        "whether it keeps what it acknowledges can't be seen ({said}): allow the user CONFIG GET, \
         or allow losses with --ledger-may-lose"
    )]
    SettingsHidden {
        /// The store's words.
        said: String,
    },
    /// Keys may be dropped.
    #[error(
        "maxmemory-policy is {found}, which can drop orders: set maxmemory-policy to noeviction"
    )]
    Eviction {
        /// As it is.
        found: String,
    },
    /// A replica may take its place without what was acknowledged last.
    #[error(
        "when a replica takes the primary's place, what the primary acknowledged last is lost: \
         allow it with --ledger-may-lose, or give one server that keeps everything"
    )]
    FailsOver,
    /// It is one of several that share the keys.
    #[error("it is a node of a cluster: write redis+cluster:// in its URL")]
    ClusterNode,
    /// It is one server.
    #[error("it is no cluster: write redis:// in its URL")]
    NoCluster,
    /// A URL that Redis does not have.
    #[error("its URL can't be read ({said}): write redis://[user:password@]host:port/database")]
    RedisUrl {
        /// What is wrong with it.
        said: String,
    },
    /// The sentinels are not told whom they are asked for.
    #[error("its URL names no primary: write redis+sentinel://host:port,host:port/name")]
    NoPrimary,
    /// The sentinels watch nobody of this name.
    #[error("the sentinels know no primary called {name}: write its name at the end of the URL")]
    UnknownPrimary {
        /// As the URL has it.
        name: String,
    },
    /// Stripes that no sale can have.
    #[error("--ledger-stripes can't be {given}: give 1 to {most}")]
    Stripes {
        /// What was asked for.
        given: u16,
        /// What can be.
        most: u16,
    },
    /// This engine has no stripes.
    #[error("PostgreSQL has no stripes: leave out --ledger-stripes")]
    NoStripes,
    /// Somebody else's keys are where Kilat's should be.
    #[error(
        "it did not answer with {wanted}, so its keys are not Kilat's: give Kilat a Redis of its own"
    )]
    Foreign {
        /// What was expected.
        wanted: &'static str,
    },
    /// A sale was made by a later version.
    #[error(
        "the sale at {place} has format {found} and this version reads up to {newest}: use the \
         version that made it, or a later one"
    )]
    LaterFormat {
        /// Where its keys are.
        place: String,
        /// Its format.
        found: String,
        /// The newest that this version reads.
        newest: String,
    },
    /// A sale was made by a version before the first release, whose form was given up.
    #[error(
        "the sale at {place} has format {found}, which no version from {newest} on reads: sell it \
         to its end with the version that made it, and give this one another Redis"
    )]
    GivenUpFormat {
        /// Where its keys are.
        place: String,
        /// Its format.
        found: String,
        /// The newest that this version reads.
        newest: String,
    },
    /// The schema was made by a later version.
    #[error(
        "its schema kilat has version {found} and this program knows {newest}: use the version of \
         kilat that made it, or a later one"
    )]
    LaterSchema {
        /// Its version.
        found: usize,
        /// The newest that this program knows.
        newest: usize,
    },
    /// The schema was made from another text under the same number.
    #[error(
        "its schema kilat was made by a build of kilat whose version {version} of it is another: \
         use that build, or give this one a database of its own"
    )]
    OtherSchema {
        /// The first that differs.
        version: usize,
    },
    /// The database can't hold every text.
    #[error("its encoding is {found}: use a database with ENCODING 'UTF8'")]
    Encoding {
        /// As it is.
        found: String,
    },
    /// The database is not there.
    #[error("{said}: make the database, or name another one in the URL")]
    NoDatabase {
        /// The store's words.
        said: String,
    },
    /// No changes are taken.
    #[error(
        "it takes no changes: set default_transaction_read_only to off for this user or database"
    )]
    ReadOnly,
    /// A URL that PostgreSQL does not have.
    #[error("its URL can't be read ({said}): write postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    PostgresUrl {
        /// What is wrong with it.
        said: String,
    },
    /// The same, with something in it that may be a part of a password.
    #[error(
        "its URL can't be read: write / ? # @ and : in user and password as %2F %3F %23 %40 and %3A"
    )]
    Unescaped,
    /// There is no such `sslmode`.
    #[error(
        "its sslmode is none that there is: write disable, prefer, require, verify-ca or verify-full"
    )]
    SslMode,
    /// Nobody is named whom to trust.
    #[error(
        "sslmode=verify-ca and verify-full need to know whom to trust: add \
         sslrootcert=/PATH/TO/CA.pem"
    )]
    NoRoot,
    /// The file with whom to trust is of no use.
    #[error(
        "sslrootcert={file} can't be used ({said}): name a file with the authority's certificate in PEM"
    )]
    Root {
        /// The file.
        file: String,
        /// What is wrong with it.
        said: String,
    },
    /// It keeps no events.
    #[error("Redis keeps no event log: give postgres:// or core://")]
    NoEventLog,
}

/// What a user has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Of a Redis.
    Redis,
    /// Of a PostgreSQL.
    Postgres,
}

impl std::fmt::Display for Allow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Allow::Redis => "allow the user this, and the keys ~{kilat*, as docs/redis.md says",
            Allow::Postgres => {
                "GRANT the user CREATE on the database, and what is in its schema kilat"
            }
        })
    }
}

/// Where it is said whose certificates to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// In a file that the environment names.
    File,
    /// In the URL.
    Url,
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Trust::File => "name its authority's in SSL_CERT_FILE",
            Trust::Url => "sslmode and sslrootcert in its URL",
        })
    }
}

impl From<String> for StoreReason {
    fn from(said: String) -> StoreReason {
        StoreReason::Said(said)
    }
}
