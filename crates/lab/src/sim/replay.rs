//! Owns what is durable at each point of a log, and what is written there but not yet durable.
//! Promises: follows the fault model at the top of this module to the letter, in both variants.
//! Never runs code that is judged: it reads the log alone.

use std::sync::Arc;

use super::content::Payload;
use super::effect::{Change, Effect};
use super::state::{Body, Node, NodeId, State, STORAGE};

/// What a file system does with the order of effects on names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// A journal: what is durable is a prefix of all name effects.
    Kept,
    /// Each folder by itself, any subset, but the order of effects on one name.
    Free,
}

impl Order {
    /// Both variants.
    pub const ALL: [Order; 2] = [Order::Kept, Order::Free];
}

/// A pending change of one file's content or size.
#[derive(Clone)]
pub struct PendingData {
    /// The file.
    pub node: NodeId,
    /// What was done.
    pub change: DataChange,
}

/// A write or a truncation.
#[derive(Clone)]
pub enum DataChange {
    /// Bytes at an offset.
    Write(u64, Payload),
    /// A new size.
    Truncate(u64),
}

/// One name and what it stands for afterwards.
#[derive(Clone)]
pub struct NameChange {
    /// The folder.
    pub folder: NodeId,
    /// The name.
    pub name: Arc<str>,
    /// `None`: the name is gone.
    pub node: Option<NodeId>,
}

/// A pending change of names that is durable as a whole or not at all.
#[derive(Clone)]
pub struct PendingNames {
    /// One or two names.
    pub changes: Vec<NameChange>,
}

/// A point in a log.
#[derive(Clone)]
pub struct Replay {
    /// What survives a cut for certain.
    pub durable: State,
    /// Data that may survive, in its order.
    pub data: Vec<PendingData>,
    /// Names that may survive, in their order.
    pub names: Vec<PendingNames>,
    /// The variant.
    pub order: Order,
}

impl Replay {
    /// Before the first effect.
    pub fn new(initial: &State, order: Order) -> Replay {
        Replay { durable: initial.clone(), data: Vec::new(), names: Vec::new(), order }
    }

    /// After these effects.
    pub fn at(initial: &State, order: Order, effects: &[Effect]) -> Replay {
        let mut replay = Replay::new(initial, order);
        for effect in effects {
            replay.apply(effect);
        }
        replay
    }

    /// One effect further.
    pub fn apply(&mut self, effect: &Effect) {
        match &effect.change {
            Change::Write { node, offset, payload } => {
                self.data.push(PendingData {
                    node: *node,
                    change: DataChange::Write(*offset, payload.clone()),
                });
            }
            Change::Truncate { node, size } => {
                self.data.push(PendingData { node: *node, change: DataChange::Truncate(*size) });
            }
            Change::Sync { node } => self.sync_file(*node),
            Change::SyncFailed { node } => self.data.retain(|pending| pending.node != *node),
            Change::SyncFolder { folder } => self.sync_folder(*folder),
            Change::Create { folder, name, node, body, mode } => {
                let device = self.durable.node(*folder).map_or(STORAGE, |folder| folder.device);
                // It exists from now on; whether anything leads to it is what is pending.
                self.durable.nodes.insert(*node, Node::new(device, *mode, empty(body)));
                self.durable.next = self.durable.next.max(*node + 1);
                self.push_names(vec![name_change(*folder, name, Some(*node))]);
            }
            Change::Link { folder, name, node } => {
                self.push_names(vec![name_change(*folder, name, Some(*node))])
            }
            Change::Unlink { folder, name } => {
                self.push_names(vec![name_change(*folder, name, None)])
            }
            Change::Rename { from, to, node } => {
                let gone = name_change(from.0, &from.1, None);
                let there = name_change(to.0, &to.1, Some(*node));
                if self.order == Order::Kept || from.0 == to.0 {
                    self.push_names(vec![gone, there]);
                } else {
                    self.push_names(vec![there]);
                    self.push_names(vec![gone]);
                }
            }
        }
    }

    fn push_names(&mut self, changes: Vec<NameChange>) {
        self.names.push(PendingNames { changes });
    }

    fn sync_file(&mut self, node: NodeId) {
        let durable = &mut self.durable;
        self.data.retain(|pending| {
            if pending.node == node {
                apply_data(durable, pending);
            }
            pending.node != node
        });
    }

    fn sync_folder(&mut self, folder: NodeId) {
        let touches =
            |pending: &PendingNames| pending.changes.iter().any(|effect| effect.folder == folder);
        match self.order {
            Order::Kept => {
                let Some(last) = self.names.iter().rposition(touches) else { return };
                for pending in self.names.drain(..=last) {
                    apply_names(&mut self.durable, &pending);
                }
            }
            Order::Free => {
                let durable = &mut self.durable;
                self.names.retain(|pending| {
                    let synced = touches(pending);
                    if synced {
                        apply_names(durable, pending);
                    }
                    !synced
                });
            }
        }
    }

    /// Which of `wanted` pending name effects can be durable together: in the kept order what
    /// follows a lost one is lost, in the free order what follows a lost one on the same name is.
    pub fn possible_names(&self, wanted: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut lost: Vec<&NameChange> = Vec::new();
        let mut kept = Vec::with_capacity(self.names.len());
        for (index, pending) in self.names.iter().enumerate() {
            let blocked = match self.order {
                Order::Kept => !lost.is_empty(),
                Order::Free => pending.changes.iter().any(|effect| {
                    lost.iter().any(|earlier| {
                        earlier.folder == effect.folder && earlier.name == effect.name
                    })
                }),
            };
            let keep = wanted(index) && !blocked;
            if !keep {
                lost.extend(&pending.changes);
            }
            kept.push(keep);
        }
        kept
    }
}

fn name_change(folder: NodeId, name: &Arc<str>, node: Option<NodeId>) -> NameChange {
    NameChange { folder, name: name.clone(), node }
}

fn empty(body: &Body) -> Body {
    match body {
        Body::File(_) => Body::File(Default::default()),
        Body::Folder(_) => Body::Folder(Default::default()),
        Body::Symlink(target) => Body::Symlink(target.clone()),
    }
}

/// Carries out a pending change of content as a whole.
pub fn apply_data(state: &mut State, pending: &PendingData) {
    if let Some(content) = state.content_mut(pending.node) {
        match &pending.change {
            DataChange::Write(offset, payload) => content.write(*offset, payload),
            DataChange::Truncate(size) => content.truncate(*size),
        }
    }
}

/// Carries out a pending change of names as a whole.
pub fn apply_names(state: &mut State, pending: &PendingNames) {
    for effect in &pending.changes {
        state.set_entry(effect.folder, &effect.name, effect.node);
    }
}
