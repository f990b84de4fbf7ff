//! The files of a simulated guest: one flat map from path to node, with owners, modes and links.
//!
//! Paths in here look like `/etc/hosts` for both systems; a Windows guest has `/C:/Users` inside
//! and shows `C:\Users`, and any case finds it. The root is the empty path. Every change is one
//! [`Change`], because a program that sleeps makes its changes later, and a killed one never.

use crate::sim::fault::Fault;
use crate::text::sorted::Sorted;

/// Largest content of one file.
pub const MOST_FILE: usize = 1 << 20;
/// All contents and names of a guest together.
pub const MOST_BYTES: usize = 16 << 20;
/// Most files and directories.
const MOST_NODES: usize = 8_192;
/// Longest path.
const MOST_PATH: usize = 1_024;
/// What a node costs besides its content.
const NODE_COST: usize = 128;

/// Why a file could not be had or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    NotFound,
    Exists,
    NotDirectory,
    NotFile,
    NotEmpty,
    Denied,
    Full,
    Invalid,
}

impl Trouble {
    /// As a shell says it.
    pub fn words(self) -> &'static str {
        match self {
            Trouble::NotFound => "No such file or directory",
            Trouble::Exists => "File exists",
            Trouble::NotDirectory => "Not a directory",
            Trouble::NotFile => "Is a directory",
            Trouble::NotEmpty => "Directory not empty",
            Trouble::Denied => "Permission denied",
            Trouble::Full => "No space left on device",
            Trouble::Invalid => "Invalid argument",
        }
    }

    /// As VMware Tools say it of this file.
    pub fn fault(self, file: &str) -> Fault {
        let (kind, text) = match self {
            Trouble::NotFound => ("FileNotFound", "was not found"),
            Trouble::Exists => ("FileAlreadyExists", "already exists"),
            Trouble::NotDirectory => ("NotADirectory", "is not a directory"),
            Trouble::NotFile => ("NotAFile", "is not a file"),
            Trouble::NotEmpty => ("DirectoryNotEmpty", "is not empty"),
            Trouble::Denied => {
                return Fault::new(
                    "GuestPermissionDenied",
                    "Failure due to insufficient permissions in the guest operating system.",
                );
            }
            // unverified: which fault a full disk of the guest gives.
            Trouble::Full => ("NoDiskSpace", "does not fit on the disk"),
            Trouble::Invalid => return Fault::invalid_argument("guestFilePath"),
        };
        let fault = Fault::new(kind, format!("File {file} {text}")).with("file", file);
        if kind == "NoDiskSpace" { fault.with("datastore", "") } else { fault }
    }
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Directory,
    File(Vec<u8>),
    Link(String),
}

/// A file, directory or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// As it was spelled when it was made.
    pub path: String,
    pub owner: u32,
    pub mode: u32,
    pub changed: u64,
    pub body: Body,
}

impl Node {
    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Bytes of its content.
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Directory => 4_096,
            Body::File(bytes) => bytes.len(),
            Body::Link(target) => target.len(),
        }
    }

    pub fn is_directory(&self) -> bool {
        self.body == Body::Directory
    }

    fn cost(&self) -> usize {
        let content = if self.is_directory() { 0 } else { self.size() };
        content + self.path.len() + NODE_COST
    }

    /// True if this user may do it: 4 read, 2 write, 1 run or pass. Each user has a group alone.
    pub fn allows(&self, user: u32, bit: u32) -> bool {
        let shift = if self.owner == user { 6 } else { 0 };
        match user {
            0 => bit != 1 || self.is_directory() || self.mode & 0o111 != 0,
            _ => self.mode >> shift & bit == bit,
        }
    }
}

/// What a change does; `data` of the change is the content, the target or the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Write,
    Append,
    Create,
    MakeDirectory,
    Remove,
    RemoveAll,
    Move,
    MoveOver,
    Mode,
    Owner,
    Time,
    Link,
}

/// All of them, in the order in which a state file counts them.
pub const ACTS: [Act; 12] = [
    Act::Write,
    Act::Append,
    Act::Create,
    Act::MakeDirectory,
    Act::Remove,
    Act::RemoveAll,
    Act::Move,
    Act::MoveOver,
    Act::Mode,
    Act::Owner,
    Act::Time,
    Act::Link,
];

/// One change of the tree by a user at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: u64,
    pub user: u32,
    pub act: Act,
    pub path: String,
    pub data: Vec<u8>,
}

/// The files of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    nodes: Sorted<String, Node>,
    windows: bool,
    bytes: usize,
}

impl Tree {
    /// An empty one, with nothing but its root.
    pub fn new(windows: bool) -> Tree {
        let mut tree = Tree { nodes: Sorted::new(), windows, bytes: 0 };
        let root = String::new();
        let _ = tree.insert(Node {
            path: root,
            owner: 0,
            mode: 0o755,
            changed: 0,
            body: Body::Directory,
        });
        tree
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub fn is_windows(&self) -> bool {
        self.windows
    }

    /// The inner form of a path as a client writes it, from `cwd` (of the inner form) if relative.
    pub fn inner(&self, cwd: &str, path: &str) -> String {
        let path = if self.windows { path.replace('\\', "/") } else { path.to_owned() };
        let drive = self.windows && path.as_bytes().get(1) == Some(&b':');
        match () {
            () if drive => format!("/{path}"),
            () if path.starts_with('/') && self.windows => format!("/C:{path}"),
            () if path.starts_with('/') => path,
            () => format!("{cwd}/{path}"),
        }
    }

    /// The form that a user of this system knows.
    pub fn shown(&self, inner: &str) -> String {
        match (self.windows, inner) {
            (false, "") => "/".to_owned(),
            (false, path) => path.to_owned(),
            (true, path) => {
                let path = path.trim_start_matches('/').replace('/', "\\");
                if path.ends_with(':') { path + "\\" } else { path }
            }
        }
    }

    fn key(&self, path: &str) -> String {
        if self.windows { path.to_lowercase() } else { path.to_owned() }
    }

    fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.key(path))
    }

    /// The plain path behind dots and links; checks on the way that the user may pass.
    pub fn reach(&self, user: u32, path: &str, follow: bool) -> Result<String, Trouble> {
        if path.len() > MOST_PATH || path.contains('\0') {
            return Err(Trouble::Invalid);
        }
        let parts = |path: &str| -> Vec<String> { path.rsplit('/').map(str::to_owned).collect() };
        let mut todo = parts(path);
        let (mut at, mut hops) = (String::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.truncate(at.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let here = self.get(&at).ok_or(Trouble::NotFound)?;
            if !here.is_directory() {
                return Err(Trouble::NotDirectory);
            }
            if !here.allows(user, 1) {
                return Err(Trouble::Denied);
            }
            let next = format!("{at}/{part}");
            match self.get(&next) {
                Some(Node { body: Body::Link(target), .. }) if follow || !todo.is_empty() => {
                    hops += 1;
                    if hops > 8 {
                        return Err(Trouble::NotFound);
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    todo.extend(parts(target));
                }
                Some(node) => at = node.path.clone(),
                None => at = next,
            }
        }
        Ok(at)
    }

    /// The node at a path of the inner form.
    pub fn find(&self, user: u32, path: &str, follow: bool) -> Result<&Node, Trouble> {
        let at = self.reach(user, path, follow)?;
        self.get(&at).ok_or(Trouble::NotFound)
    }

    /// The content of a file that the user may read.
    pub fn read(&self, user: u32, path: &str) -> Result<&[u8], Trouble> {
        let node = self.find(user, path, true)?;
        match &node.body {
            Body::File(_) if !node.allows(user, 4) => Err(Trouble::Denied),
            Body::File(bytes) => Ok(bytes),
            _ => Err(Trouble::NotFile),
        }
    }

    /// What is in a directory, by name.
    pub fn children(&self, user: u32, path: &str) -> Result<Vec<&Node>, Trouble> {
        let node = self.find(user, path, true)?;
        match node.is_directory() {
            false => Err(Trouble::NotDirectory),
            true if !node.allows(user, 4) => Err(Trouble::Denied),
            true => {
                let depth = node.path.len() + 1;
                Ok(self.below(&node.path).filter(|it| !it.path[depth..].contains('/')).collect())
            }
        }
    }

    fn below(&self, path: &str) -> impl Iterator<Item = &Node> {
        let prefix = self.key(path) + "/";
        let from = self.nodes.from_key(&*prefix);
        from.take_while(move |(key, _)| key.starts_with(&prefix)).map(|it| it.1)
    }

    /// Puts a node in, over one that is there.
    pub fn insert(&mut self, node: Node) -> Result<(), Trouble> {
        let key = self.key(&node.path);
        let (old, new) = (self.nodes.get(&key).map_or(0, Node::cost), node.cost());
        let bytes = self.bytes - old + new;
        let fits = bytes <= MOST_BYTES && self.nodes.len() < MOST_NODES;
        if !fits || (!node.is_directory() && node.size() > MOST_FILE) {
            return Err(Trouble::Full);
        }
        self.bytes = bytes;
        self.nodes.insert(key, node);
        Ok(())
    }

    /// Takes out what a state file says is gone; what is below it is named there too.
    pub fn forget(&mut self, path: &str) {
        if !path.is_empty() {
            self.take(path);
        }
    }

    fn take(&mut self, path: &str) -> Option<Node> {
        let node = self.nodes.remove(&self.key(path))?;
        self.bytes -= node.cost();
        Some(node)
    }

    /// True if the user may add and remove in the directory that holds this path.
    fn parent(&self, user: u32, path: &str) -> Result<&Node, Trouble> {
        let above = path.get(..path.rfind('/').ok_or(Trouble::Denied)?).unwrap_or_default();
        let parent = self.get(above).ok_or(Trouble::NotFound)?;
        match parent.is_directory() {
            false => Err(Trouble::NotDirectory),
            true if !parent.allows(user, 2) => Err(Trouble::Denied),
            true => Ok(parent),
        }
    }

    fn removable(&self, user: u32, node: &Node) -> Result<(), Trouble> {
        let parent = self.parent(user, &node.path)?;
        let sticky = parent.mode & 0o1000 != 0 && user != 0;
        let others = node.owner != user && parent.owner != user;
        if sticky && others { Err(Trouble::Denied) } else { Ok(()) }
    }

    /// Makes one change, or none of it.
    pub fn apply(&mut self, change: &Change) -> Result<(), Trouble> {
        let Change { at, user, act, path, data } = change;
        let follow = matches!(act, Act::Write | Act::Append | Act::Mode | Act::Owner | Act::Time);
        let path = self.reach(*user, path, follow)?;
        let old = self.get(&path).cloned();
        match (act, old) {
            (Act::Write | Act::Append, Some(mut node)) => {
                if !node.allows(*user, 2) {
                    return Err(Trouble::Denied);
                }
                let Body::File(bytes) = &mut node.body else { return Err(Trouble::NotFile) };
                if *act == Act::Write {
                    bytes.clear();
                }
                bytes.extend_from_slice(data);
                node.changed = *at;
                self.insert(node)
            }
            (Act::Create | Act::MakeDirectory | Act::Link, Some(_)) => Err(Trouble::Exists),
            (Act::Write | Act::Append | Act::Create | Act::MakeDirectory | Act::Link, None) => {
                self.parent(*user, &path)?;
                let (body, mode) = match act {
                    Act::MakeDirectory => (Body::Directory, 0o755),
                    Act::Link => (Body::Link(String::from_utf8_lossy(data).into_owned()), 0o777),
                    _ => (Body::File(data.clone()), 0o644),
                };
                self.insert(Node { path, owner: *user, mode, changed: *at, body })
            }
            (_, None) => Err(Trouble::NotFound),
            (Act::Remove | Act::RemoveAll, Some(node)) => {
                self.removable(*user, &node)?;
                let below: Vec<String> = self.below(&path).map(|it| it.path.clone()).collect();
                if *act == Act::Remove && !below.is_empty() {
                    return Err(Trouble::NotEmpty);
                }
                for inside in below.iter().rev() {
                    self.removable(*user, self.get(inside).ok_or(Trouble::NotFound)?)?;
                }
                for inside in below.iter().chain([&path]) {
                    self.take(inside);
                }
                Ok(())
            }
            (Act::Move | Act::MoveOver, Some(node)) => {
                self.removable(*user, &node)?;
                let target = String::from_utf8_lossy(data);
                self.rename(*user, &node, &target, *act == Act::MoveOver)
            }
            (Act::Mode | Act::Owner | Act::Time, Some(mut node)) => {
                if *user != 0 && (node.owner != *user || *act == Act::Owner) {
                    return Err(Trouble::Denied);
                }
                let number = std::str::from_utf8(data).ok().and_then(|it| it.parse().ok());
                let number: u64 = number.ok_or(Trouble::Invalid)?;
                let small = u32::try_from(number).map_err(|_| Trouble::Invalid);
                match act {
                    Act::Mode => node.mode = small? & 0o7777,
                    Act::Owner => node.owner = small?,
                    _ => node.changed = number,
                }
                self.insert(node)
            }
        }
    }

    fn rename(&mut self, user: u32, node: &Node, to: &str, over: bool) -> Result<(), Trouble> {
        let to = self.reach(user, to, false)?;
        self.parent(user, &to)?;
        let (from_key, to_key) = (self.key(&node.path), self.key(&to));
        if to_key.starts_with(&format!("{from_key}/")) {
            return Err(Trouble::Invalid);
        }
        match self.get(&to) {
            _ if to_key == from_key => {}
            Some(_) if !over => return Err(Trouble::Exists),
            Some(old) if old.is_directory() != node.is_directory() => return Err(Trouble::Exists),
            Some(old) if self.below(&old.path).next().is_some() => return Err(Trouble::NotEmpty),
            Some(old) => self.removable(user, old)?,
            None => {}
        }
        let below: Vec<String> = self.below(&node.path).map(|it| it.path.clone()).collect();
        for inside in [&node.path].into_iter().chain(&below) {
            if let Some(mut moved) = self.take(inside) {
                let tail = inside.get(node.path.len()..).unwrap_or_default();
                moved.path = format!("{to}{tail}");
                self.take(&moved.path);
                self.insert(moved)?;
            }
        }
        Ok(())
    }
}
