//! Owns a tree of folders, files and links: what a disk holds at one moment.
//! Promises: a clone is cheap; the hash is that of the durable tree as a walk sees it, never of
//! numbers or times.
//! Never knows what is durable, who has a file open, or what may fail.

use std::collections::btree_map::Entry;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::content::{Content, BLOCK_BYTES};
use super::hash::Hash128;

/// A system call's error number.
pub type Errno = i32;
/// One node for ever: never used again, unlike an inode number.
pub type NodeId = u64;
/// A folder's entries.
pub type Entries = Arc<BTreeMap<Arc<str>, NodeId>>;

/// The root folder.
pub const ROOT: NodeId = 1;
/// The device that holds everything durable.
pub const STORAGE: u32 = 1;
/// A file system in memory: empty after every power cut.
pub const VOLATILE: u32 = 2;

const SYMLINKS_MAX: u32 = 40;

/// What a node is.
#[derive(Clone)]
pub enum Body {
    /// A regular file.
    File(Content),
    /// A folder.
    Folder(Entries),
    /// A symbolic link to an absolute or relative path.
    Symlink(Arc<str>),
}

/// An inode.
#[derive(Clone)]
pub struct Node {
    /// The inode number that `stat` shows; the lowest free one, so it is used again at once.
    pub number: u64,
    /// The file system: [`STORAGE`], [`VOLATILE`] or another.
    pub device: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Last change of the content, nanoseconds since 1970.
    pub modified_ns: i128,
    /// Last change of anything, nanoseconds since 1970.
    pub changed_ns: i128,
    /// File, folder or link.
    pub body: Body,
}

impl Node {
    /// A new node with default owner and times.
    pub fn new(device: u32, mode: u32, body: Body) -> Node {
        Node { number: 0, device, uid: 0, gid: 0, mode, modified_ns: 0, changed_ns: 0, body }
    }

    /// Space that it uses, in blocks.
    pub fn allocated_blocks(&self) -> u64 {
        match &self.body {
            Body::File(content) => content.allocated_blocks(),
            Body::Folder(_) | Body::Symlink(_) => 0,
        }
    }
}

/// Where a path leads: its folder, its last name, and what has this name now.
#[derive(Clone)]
pub struct Place {
    /// The folder.
    pub folder: NodeId,
    /// The last name in it.
    pub name: Arc<str>,
    /// What has the name.
    pub node: Option<NodeId>,
}

/// A whole tree.
#[derive(Clone)]
pub struct State {
    /// Every node, reachable or not.
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) next: NodeId,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// An empty root folder.
    pub fn new() -> State {
        let mut root = Node::new(STORAGE, 0o755, Body::Folder(Entries::default()));
        root.number = 2;
        State { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1 }
    }

    /// The node, which exists.
    pub fn node(&self, id: NodeId) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(libc::EIO)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&id).ok_or(libc::EIO)
    }

    /// A folder's entries.
    pub fn entries(&self, id: NodeId) -> Result<&Entries, Errno> {
        match &self.node(id)?.body {
            Body::Folder(entries) => Ok(entries),
            Body::File(_) | Body::Symlink(_) => Err(libc::ENOTDIR),
        }
    }

    /// A file's content.
    pub fn content(&self, id: NodeId) -> Result<&Content, Errno> {
        match &self.node(id)?.body {
            Body::File(content) => Ok(content),
            Body::Folder(_) => Err(libc::EISDIR),
            Body::Symlink(_) => Err(libc::ELOOP),
        }
    }

    pub(super) fn content_mut(&mut self, id: NodeId) -> Option<&mut Content> {
        match self.nodes.get_mut(&id).map(|node| &mut node.body) {
            Some(Body::File(content)) => Some(content),
            _ => None,
        }
    }

    /// Sets or takes away one name.
    pub(super) fn set_entry(&mut self, folder: NodeId, name: &Arc<str>, node: Option<NodeId>) {
        if let Some(Body::Folder(entries)) = self.nodes.get_mut(&folder).map(|node| &mut node.body)
        {
            let entries = Arc::make_mut(entries);
            match node {
                Some(node) => entries.insert(name.clone(), node),
                None => entries.remove(name),
            };
        }
    }

    /// Adds a node that has no name yet.
    pub(super) fn add(&mut self, mut node: Node) -> NodeId {
        let mut used: Vec<u64> = self.nodes.values().map(|node| node.number).collect();
        used.sort_unstable();
        node.number = (11..).find(|number| used.binary_search(number).is_err()).unwrap_or(11);
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    /// How many names a node has.
    pub fn links(&self, id: NodeId) -> u64 {
        let folders = self.nodes.values().filter_map(|node| match &node.body {
            Body::Folder(entries) => Some(entries),
            Body::File(_) | Body::Symlink(_) => None,
        });
        folders.flat_map(|entries| entries.values()).filter(|node| **node == id).count() as u64
    }

    /// Where an absolute path leads; symbolic links are followed but for the last name.
    pub fn place(&self, path: &str) -> Result<Place, Errno> {
        self.place_within(path, SYMLINKS_MAX)
    }

    fn place_within(&self, path: &str, symlinks: u32) -> Result<Place, Errno> {
        let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
        let mut folder = ROOT;
        while let Some(name) = names.next() {
            let found = self.entries(folder)?.get_key_value(name);
            if names.peek().is_none() {
                let (name, node) =
                    found.map_or_else(|| (name.into(), None), |(key, id)| (key.clone(), Some(*id)));
                return Ok(Place { folder, name, node });
            }
            let next = *found.ok_or(libc::ENOENT)?.1;
            match &self.node(next)?.body {
                Body::Folder(_) => folder = next,
                Body::File(_) => return Err(libc::ENOTDIR),
                Body::Symlink(target) => {
                    let left = symlinks.checked_sub(1).ok_or(libc::ELOOP)?;
                    let rest: Vec<&str> = names.collect();
                    return self.place_within(&format!("{target}/{}", rest.join("/")), left);
                }
            }
        }
        Ok(Place { folder: ROOT, name: ".".into(), node: Some(ROOT) })
    }

    /// What an absolute path stands for, the last symbolic link followed too, and its path without
    /// any.
    pub fn follow(&self, path: &str) -> Result<(NodeId, String), Errno> {
        let mut path = path.to_owned();
        for _ in 0..SYMLINKS_MAX {
            let place = self.place(&path)?;
            let id = place.node.ok_or(libc::ENOENT)?;
            match &self.node(id)?.body {
                Body::Symlink(target) if target.starts_with('/') => path = target.to_string(),
                Body::Symlink(target) => path = format!("{}/{target}", self.path_of(place.folder)),
                // By its folder: a file with two names has the path that was asked for.
                Body::File(_) => {
                    return Ok((id, format!("{}/{}", self.path_of(place.folder), place.name)))
                }
                Body::Folder(_) => return Ok((id, self.path_of(id))),
            }
        }
        Err(libc::ELOOP)
    }

    /// The first path under which a walk meets a node; empty for the root, `(no name)` for a
    /// nameless one.
    pub fn path_of(&self, id: NodeId) -> String {
        if id == ROOT {
            return String::new();
        }
        self.walk()
            .into_iter()
            .find(|(_, node)| *node == id)
            .map_or_else(|| "(no name)".into(), |(path, _)| path)
    }

    /// Every path below the root in the order of a depth-first walk, with its node.
    pub fn walk(&self) -> Vec<(String, NodeId)> {
        let mut found = Vec::with_capacity(self.nodes.len());
        self.walk_into(ROOT, &mut String::new(), &mut found);
        found
    }

    fn walk_into(&self, folder: NodeId, path: &mut String, found: &mut Vec<(String, NodeId)>) {
        let Ok(entries) = self.entries(folder) else { return };
        for (name, id) in entries.iter() {
            let length = path.len();
            path.push('/');
            path.push_str(name);
            found.push((path.clone(), *id));
            self.walk_into(*id, path, found);
            path.truncate(length);
        }
    }

    /// Takes away what no path leads to, and everything on volatile devices; inode numbers start
    /// afresh.
    pub fn swept(mut self) -> State {
        for node in self.nodes.values_mut().filter(|node| node.device == VOLATILE) {
            if let Body::Folder(entries) = &mut node.body {
                *entries = Entries::default();
            }
        }
        let mut reachable = BTreeMap::from([(ROOT, 2)]);
        let mut folders = vec![ROOT];
        while let Some(folder) = folders.pop() {
            for id in self.entries(folder).map(|entries| entries.values()).into_iter().flatten() {
                let number = 10 + reachable.len() as u64;
                if let Entry::Vacant(vacant) = reachable.entry(*id) {
                    vacant.insert(number);
                    if self.entries(*id).is_ok_and(|entries| !entries.is_empty()) {
                        folders.push(*id);
                    }
                }
            }
        }
        self.nodes.retain(|id, node| match reachable.get(id) {
            Some(number) => {
                node.number = *number;
                true
            }
            None => false,
        });
        self
    }

    /// 128 bits over names, kinds, contents and which names are links of one file. Owner, mode and
    /// times do not count.
    pub fn hash(&self) -> u128 {
        let mut hash = Hash128::new();
        self.hash_folder(ROOT, &mut hash, &mut Vec::with_capacity(self.nodes.len()), Content::hash);
        hash.finish()
    }

    /// As [`State::hash`], but of a file only its size; and the files, each once, in the order of
    /// the walk.
    pub fn shape(&self) -> (u128, Vec<NodeId>) {
        let mut hash = Hash128::new();
        let mut met = Vec::with_capacity(self.nodes.len());
        self.hash_folder(ROOT, &mut hash, &mut met, |content| u128::from(content.size()));
        met.retain(|id| self.content(*id).is_ok());
        (hash.finish(), met)
    }

    fn hash_folder(
        &self,
        folder: NodeId,
        hash: &mut Hash128,
        met: &mut Vec<NodeId>,
        of_file: fn(&Content) -> u128,
    ) {
        let Ok(entries) = self.entries(folder) else { return };
        hash.number(entries.len() as u64);
        for (name, id) in entries.iter() {
            let Ok(node) = self.node(*id) else { continue };
            hash.bytes(name.as_bytes());
            if let Some(earlier) = met.iter().position(|known| known == id) {
                hash.number(earlier as u64);
                continue;
            }
            met.push(*id);
            match &node.body {
                Body::File(content) => hash.wide(of_file(content)),
                Body::Symlink(target) => hash.bytes(target.as_bytes()),
                Body::Folder(_) if node.device == VOLATILE => hash.number(0),
                Body::Folder(_) => self.hash_folder(*id, hash, met, of_file),
            }
        }
    }

    /// A line for each path: kind, bytes, names, mode, and the first digits of the content's hash.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (path, id) in self.walk() {
            let Some(node) = self.nodes.get(&id) else { continue };
            let line = match &node.body {
                Body::Folder(_) => format!("{path}/  folder, mode {:o}", node.mode),
                Body::Symlink(target) => format!("{path}  link to {target}"),
                Body::File(content) => format!(
                    "{path}  {} bytes, {} name(s), mode {:o}, content {:08x}",
                    content.size(),
                    self.links(id),
                    node.mode,
                    (content.hash() >> 96) as u32
                ),
            };
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Bytes that a device's files use.
    pub fn used_bytes(&self, device: u32) -> u64 {
        let nodes = self.nodes.values().filter(|node| node.device == device);
        nodes.map(Node::allocated_blocks).sum::<u64>() * BLOCK_BYTES as u64
    }

    /// Files, folders and links on a device.
    pub fn inodes(&self, device: u32) -> u64 {
        self.nodes.values().filter(|node| node.device == device).count() as u64
    }

    /// Bytes that the files on the storage device would use more if they had no holes.
    pub fn hole_bytes(&self) -> u64 {
        let contents = self.nodes.values().filter_map(|node| match &node.body {
            Body::File(content) if node.device == STORAGE => Some(content),
            _ => None,
        });
        contents.map(|content| content.blocks() - content.allocated_blocks()).sum::<u64>()
            * BLOCK_BYTES as u64
    }

    /// A file's bytes; `None` where there is no such file.
    pub fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        let (id, _) = self.follow(path).ok()?;
        self.content(id).ok().map(Content::to_vec)
    }

    /// Makes a folder and its parents, on the parent's device.
    pub fn put_folder(&mut self, path: &str) -> NodeId {
        let mut folder = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let found = self.entries(folder).ok().and_then(|entries| entries.get(name).copied());
            folder = found.unwrap_or_else(|| {
                let device = self.nodes.get(&folder).map_or(STORAGE, |node| node.device);
                let new = self.add(Node::new(device, 0o755, Body::Folder(Entries::default())));
                self.set_entry(folder, &name.into(), Some(new));
                new
            });
        }
        folder
    }

    /// Makes a folder that is the mount point of another file system.
    pub fn put_mount(&mut self, path: &str, device: u32) {
        let folder = self.put_folder(path);
        if let Some(node) = self.nodes.get_mut(&folder) {
            node.device = device;
        }
    }

    /// Makes or replaces a file, with its folders.
    pub fn put_file(&mut self, path: &str, bytes: &[u8]) {
        self.put(path, Body::File(Content::of(bytes)), 0o644);
    }

    /// Gives the file at `old` a second name, with its folders.
    pub fn put_link(&mut self, old: &str, new: &str) {
        let (folder, name) = new.rsplit_once('/').unwrap_or(("", new));
        let folder = self.put_folder(folder);
        if let Ok((node, _)) = self.follow(old) {
            self.set_entry(folder, &name.into(), Some(node));
        }
    }

    /// Makes a symbolic link, with its folders.
    pub fn put_symlink(&mut self, path: &str, target: &str) {
        self.put(path, Body::Symlink(target.into()), 0o777);
    }

    /// Takes a name away, whatever it stands for.
    pub fn remove(&mut self, path: &str) {
        if let Ok(place) = self.place(path) {
            self.set_entry(place.folder, &place.name, None);
        }
        *self = std::mem::take(self).swept();
    }

    fn put(&mut self, path: &str, body: Body, mode: u32) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.put_folder(folder);
        let device = self.nodes.get(&folder).map_or(STORAGE, |node| node.device);
        let node = self.add(Node::new(device, mode, body));
        self.set_entry(folder, &name.into(), Some(node));
    }
}
