//! `kilat sale`: from flags to the client's actions on sales.

use crate::cli::SHARED;
use crate::consent::{self, Touch};
use crate::failure::Failure;
use crate::lang::Lang;
use crate::operator::OperatorArgs;
use crate::output::print;
use clap::{Args, Subcommand};
use kilat_api::sale::SaleSwitch;
use kilat_client::sale::{SaleAction, SaleDraft, SaleOptions};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Longest wait for a reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What to do with which sale.
#[derive(Debug, Args)]
pub(crate) struct SaleArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    operator: OperatorArgs,
    /// Makes the change safe to repeat [default: a random key].
    #[arg(long, global = true, value_name = "KEY", display_order = SHARED)]
    idempotency_key: Option<String>,
    /// Print JSON.
    #[arg(long, global = true, display_order = SHARED)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a sale from flags, a file, or both.
    Create(Draft),
    /// List every sale.
    List,
    /// Show one sale.
    Show {
        /// The sale's id.
        sale: String,
    },
    /// Add units to the supply.
    Restock {
        /// The sale's id.
        sale: String,
        /// Units to add.
        units: u64,
    },
    /// Refuse new orders for now.
    Pause {
        /// The sale's id.
        sale: String,
    },
    /// Take orders again.
    Open {
        /// The sale's id.
        sale: String,
    },
    /// Refuse new orders for good.
    Close {
        /// The sale's id.
        sale: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Change when a sale opens or closes.
    Schedule {
        /// The sale's id.
        sale: String,
        /// RFC 3339 with an offset, or `now`.
        #[arg(long, value_name = "TIME")]
        opens_at: Option<String>,
        /// RFC 3339 with an offset, or `never`.
        #[arg(long, value_name = "TIME")]
        closes_at: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Draft {
    /// TOML or JSON file with the fields of the sale; flags win over it.
    #[arg(long)]
    file: Option<PathBuf>,
    /// 1 to 64 characters a-z, 0-9 and '-'.
    #[arg(long)]
    id: Option<String>,
    /// What buyers read.
    #[arg(long)]
    title: Option<String>,
    /// Stock keeping unit.
    #[arg(long)]
    sku: Option<String>,
    /// Amount and ISO 4217 currency, as in "25749000 IDR".
    #[arg(long)]
    price: Option<String>,
    /// Units on sale.
    #[arg(long)]
    supply: Option<u64>,
    /// Most units for one customer [default: no limit].
    #[arg(long)]
    per_customer: Option<u32>,
    /// When buying starts: RFC 3339 with an offset [default: at once].
    #[arg(long, value_name = "TIME")]
    opens_at: Option<String>,
    /// When buying ends: RFC 3339 with an offset [default: never].
    #[arg(long, value_name = "TIME")]
    closes_at: Option<String>,
    /// How long a hold lasts [default: 600].
    #[arg(long, value_name = "SECONDS")]
    hold_seconds: Option<u32>,
}

/// Carries the action out and prints its result.
///
/// # Errors
/// [`Failure`] with what is wrong and what to do.
pub(crate) fn run(args: SaleArgs, lang: Lang) -> Result<ExitCode, Failure> {
    if let Action::Close { sale, yes } = &args.action {
        consent::before(Touch::Close, sale, *yes, lang)?;
    }
    let explain = args.operator.explainer(lang);
    let options = SaleOptions {
        access: args.operator.access(TIMEOUT)?,
        action: action(args.action),
        idempotency_key: args.idempotency_key,
        json: args.json,
        lang,
    };
    print(&kilat_client::sale::run(&options).map_err(explain)?)
}

fn action(action: Action) -> SaleAction {
    let switch = |sale, to| SaleAction::Switch { sale, to };
    match action {
        Action::Create(draft) => SaleAction::Create(Box::new(draft.into())),
        Action::List => SaleAction::List,
        Action::Show { sale } => SaleAction::Show { sale },
        Action::Restock { sale, units } => SaleAction::Restock { sale, units },
        Action::Pause { sale } => switch(sale, SaleSwitch::Paused),
        Action::Open { sale } => switch(sale, SaleSwitch::Open),
        Action::Close { sale, .. } => switch(sale, SaleSwitch::Closed),
        Action::Schedule { sale, opens_at, closes_at } => {
            SaleAction::Schedule { sale, opens_at, closes_at }
        }
    }
}

impl From<Draft> for SaleDraft {
    fn from(draft: Draft) -> SaleDraft {
        SaleDraft {
            file: draft.file,
            id: draft.id,
            title: draft.title,
            sku: draft.sku,
            price: draft.price,
            supply: draft.supply,
            per_customer: draft.per_customer,
            opens_at: draft.opens_at,
            closes_at: draft.closes_at,
            hold_seconds: draft.hold_seconds,
        }
    }
}
