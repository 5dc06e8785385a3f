//! Owns `status`: versions and state of every database, and whether its application may open it.
//! Promises: reads only; creates nothing; works on a read-only and on a full file system, and
//! beside running applications.
//! Never waits.

mod formats;

use serde::Serialize;

use crate::boot::group::{not_there, plan_in_words};
use crate::boot::look;
use crate::cli::StatusFormat;
use crate::commands::ready::{seen_ready, NO_FILE};
use crate::commands::{CommandContext, Lines, Printed};
use crate::decide::facts::{Adoption, DatabaseState, Facts, Request};
use crate::decide::plan::Plan;
use crate::device::disk::Space;
use crate::device::Device;
use crate::error::exit::{self, gravest};
use crate::report::{exit_of_refusal, version_of, Identity, LastFailure, SCHEMA};

/// What `status --json` prints.
#[derive(Debug, Serialize)]
pub struct Status {
    schema: u32,
    version: &'static str,
    #[serde(flatten)]
    identity: Identity,
    exit: u8,
    databases: Vec<DatabaseStatus>,
}

#[derive(Debug, Serialize)]
struct DatabaseStatus {
    name: String,
    path: String,
    exit: u8,
    version: Option<i64>,
    target: i64,
    pending: Vec<String>,
    ready: bool,
    /// Why not.
    #[serde(skip)]
    not_ready: Option<String>,
    /// Of the main file; `null` where there is none.
    bytes: Option<u64>,
    /// Free on its file system, for an unprivileged writer.
    free_bytes: Option<u64>,
    plan: String,
    next: Option<String>,
    failed_tries: u8,
    interrupted_tries: u8,
    last_failure: Option<LastFailure>,
    snapshots: Vec<String>,
    quarantine: Vec<u64>,
    settings: std::collections::BTreeMap<String, String>,
}

/// The exit code that says what a plan means for the application while nobody carries it out.
pub fn pending_exit(device: &Device<'_>, plan: &Plan) -> u8 {
    let waiting =
        device.state.ready_operations(device.disk()).is_ok_and(|operations| !operations.is_empty());
    match plan {
        _ if waiting => exit::PENDING.code,
        Plan::Quiet { .. } | Plan::UseNewer { .. } => 0,
        Plan::Recover { .. }
        | Plan::FirstBoot { .. }
        | Plan::Migrate { .. }
        | Plan::MigrateCopy { .. }
        | Plan::Adopt { .. }
        | Plan::Replace { .. } => exit::PENDING.code,
        Plan::Refuse(refusal) => exit_of_refusal(refusal.class),
    }
}

/// Text or one of the formats; `--exit-code` makes the answer the exit code, else it is 0.
pub fn status(context: &CommandContext<'_>, format: StatusFormat, exit_code: bool) -> Printed {
    let status = look_at(context);
    let text = match format {
        StatusFormat::Json => Lines::json(&status),
        StatusFormat::Prometheus => formats::prometheus(&status),
        StatusFormat::Mender => formats::mender(&status),
        StatusFormat::Text => {
            let warnings =
                context.settings.warnings.iter().map(|warning| format!("warning: {warning}"));
            warnings.chain(status.databases.iter().flat_map(DatabaseStatus::lines)).collect()
        }
    };
    Printed::answer(text, if exit_code { status.exit } else { 0 })
}

/// Every database, as it is.
pub fn look_at(context: &CommandContext<'_>) -> Status {
    let databases: Vec<DatabaseStatus> =
        context.devices.iter().map(|device| of(device, context.all)).collect();
    let exit = gravest(databases.iter().map(|database| database.exit));
    Status {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        identity: Identity::of(context.environment),
        exit,
        databases,
    }
}

fn of(device: &Device<'_>, all: &[Device<'_>]) -> DatabaseStatus {
    let disk = device.disk();
    let snapshots = device.state.list_snapshots(disk).unwrap_or_default();
    let mut status = DatabaseStatus {
        name: device.settings.name.clone(),
        path: device.files.main.display().to_string(),
        exit: 0,
        version: None,
        target: device.catalog.target(),
        pending: Vec::new(),
        ready: false,
        not_ready: None,
        bytes: disk.stat(&device.files.main).ok().flatten().map(|main| main.size),
        free_bytes: device.space().ok().filter(Space::is_known).map(|space| space.available),
        plan: String::new(),
        next: None,
        failed_tries: 0,
        interrupted_tries: 0,
        last_failure: None,
        snapshots: snapshots
            .iter()
            .map(|name| format!("v{}-{}", name.version, name.operation))
            .collect(),
        quarantine: device.state.list_quarantine(disk).unwrap_or_default(),
        settings: device
            .settings
            .sources
            .iter()
            .map(|(key, place)| (key.clone(), place.file.clone()))
            .collect(),
    };
    let looked = look(device, Request::Boot);
    match seen_ready(device, &looked) {
        Ok(()) => status.ready = true,
        Err(why) => status.not_ready = Some(why),
    }
    match looked {
        Ok((facts, plan)) => {
            status.fill(device, &facts, &plan);
            status.plan = plan_in_words(device, &plan, all);
            if let (0, Some(other)) = (status.exit, not_there(device, all)) {
                status.exit = exit::PENDING.code;
                status
                    .plan
                    .push_str(&format!("; not ready before {other}, which it goes together with"));
            }
        }
        Err(failure) => {
            status.exit = failure.class.exit().code;
            status.plan = format!("cannot be looked at: {failure}");
        }
    }
    status
}

impl DatabaseStatus {
    fn fill(&mut self, device: &Device<'_>, facts: &Facts, plan: &Plan) {
        self.exit = pending_exit(device, plan);
        self.version = version_of(facts);
        (self.failed_tries, self.interrupted_tries) =
            (facts.failed_tries(), facts.tries.interrupted);
        self.last_failure =
            facts.last_failure.as_ref().map(|failure| LastFailure::of(&self.name, failure));
        self.pending = match &facts.database {
            DatabaseState::Behind { pending, .. } => pending
                .iter()
                .map(|migration| format!("V{} {}", migration.version, migration.name))
                .collect(),
            DatabaseState::NoHistory { adoption: Adoption::At { pending, .. }, .. } => pending
                .iter()
                .map(|migration| format!("V{} {}", migration.version, migration.name))
                .collect(),
            DatabaseState::Absent => facts
                .catalog
                .iter()
                .map(|migration| format!("V{} {}", migration.version, migration.name))
                .collect(),
            _ => Vec::new(),
        };
        if let Plan::Refuse(refusal) = plan {
            self.next = Some(refusal.next.clone());
        }
    }

    fn lines(&self) -> Vec<String> {
        let version =
            self.version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        let ready = match &self.not_ready {
            None => "yes".to_owned(),
            Some(why) if why == NO_FILE => "no".to_owned(),
            Some(why) => format!("no: {why}"),
        };
        let mut lines = vec![format!("{}  {}", self.name, self.path)];
        lines.push(format!("  version     {version} of {}", self.target));
        lines.push(format!("  ready       {ready}"));
        if !self.pending.is_empty() {
            lines.push(format!("  pending     {}", self.pending.join(", ")));
        }
        if self.failed_tries + self.interrupted_tries > 0 {
            lines.push(format!(
                "  tries       {} failed, {} interrupted",
                self.failed_tries, self.interrupted_tries
            ));
        }
        if let Some(failure) = &self.last_failure {
            lines.push(format!("  failure     {}", failure.line()));
        }
        if !self.snapshots.is_empty() {
            lines.push(format!("  snapshots   {}", self.snapshots.join(", ")));
        }
        if !self.quarantine.is_empty() {
            let operations: Vec<String> = self.quarantine.iter().map(u64::to_string).collect();
            lines.push(format!("  quarantine  {}", operations.join(", ")));
        }
        lines.push(format!("  next boot   {}", self.plan));
        if let Some(next) = &self.next {
            lines.push(format!("  do          {next}"));
        }
        lines
    }
}
