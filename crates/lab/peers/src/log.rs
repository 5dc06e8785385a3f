//! Owns the reading of an strace log: system calls of all threads, in the order in which they
//! ended, as effects on the device.
//! Promises: every byte that was written is in the effect; a call that is not understood stops the
//! comparison.
//! Never looks outside the device's folder.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// The calls that can change what is on disk, for strace's `-e trace=`.
pub const TRACED: &str = "write,pwrite64,writev,pwritev,pwritev2,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,copy_file_range,sendfile,open,openat,creat";

/// One change, with paths below the device's folder; the folder itself is the empty path.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A new, empty file.
    Create(PathBuf),
    /// Bytes at an offset.
    Write(PathBuf, u64, Vec<u8>),
    /// Bytes from another file: offset there, offset here, how many.
    Copy(PathBuf, u64, PathBuf, u64, u64),
    /// A new size.
    Truncate(PathBuf, u64),
    /// fsync or fdatasync, of a file or a folder.
    Sync(PathBuf),
    /// A name goes.
    Unlink(PathBuf),
    /// A name becomes another.
    Rename(PathBuf, PathBuf),
    /// A second name.
    Link(PathBuf, PathBuf),
    /// A new folder.
    Folder(PathBuf),
}

/// The effects of a log, those on files below `device` and not below its `run`.
pub fn read(text: &str, device: &Path) -> Vec<Effect> {
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        if let Some(begun) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, begun.trim_end().to_string());
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let begun = unfinished.remove(thread).unwrap_or_default();
            let (_, rest) = rest.split_once("resumed>").unwrap_or_default();
            found.extend(effect(&format!("{begun}{rest}"), device));
        } else {
            found.extend(effect(call, device));
        }
    }
    found
}

fn effect(call: &str, device: &Path) -> Option<Effect> {
    let (name, rest) = call.split_once('(')?;
    let (operands, result) = rest.rsplit_once(") = ").or_else(|| {
        rest.rsplit_once(") ").map(|(one, two)| (one, two.trim_start_matches([' ', '='])))
    })?;
    let result: i64 = result.split(['<', ' ']).next()?.trim().parse().ok()?;
    if result < 0 {
        return None;
    }
    let words = split(operands);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let number = |at: usize| word(at).trim_matches(['[', ']']).parse::<u64>().unwrap_or(0);
    let descriptor = |at: usize| below(&PathBuf::from(described(word(at))), device);
    let path = |at: usize| below(&PathBuf::from(text(word(at))), device);
    let path_at =
        |at: usize| below(&PathBuf::from(described(word(at))).join(text(word(at + 1))), device);
    match name {
        "open" | "creat" => {
            (name == "creat" || word(1).contains("O_CREAT")).then(|| path(0).map(Effect::Create))?
        }
        "openat" => word(2).contains("O_CREAT").then(|| path_at(0).map(Effect::Create))?,
        "pwrite64" => Some(Effect::Write(descriptor(0)?, number(3), bytes(word(1)))),
        "ftruncate" => Some(Effect::Truncate(descriptor(0)?, number(1))),
        "fsync" | "fdatasync" => Some(Effect::Sync(descriptor(0)?)),
        "unlink" | "rmdir" => Some(Effect::Unlink(path(0)?)),
        "unlinkat" => Some(Effect::Unlink(path_at(0)?)),
        "rename" => Some(Effect::Rename(path(0)?, path(1)?)),
        "renameat" | "renameat2" => Some(Effect::Rename(path_at(0)?, path_at(2)?)),
        "link" => Some(Effect::Link(path(0)?, path(1)?)),
        "linkat" => Some(Effect::Link(path_at(0)?, path_at(2)?)),
        "mkdir" => Some(Effect::Folder(path(0)?)),
        "mkdirat" => Some(Effect::Folder(path_at(0)?)),
        "copy_file_range" => {
            Some(Effect::Copy(descriptor(0)?, number(1), descriptor(2)?, number(3), result as u64))
        }
        _ => {
            let on_device = words
                .iter()
                .enumerate()
                .any(|(at, _)| descriptor(at).is_some() || path(at).is_some());
            assert!(
                !on_device,
                "a call on the device that is not understood: {}",
                call.chars().take(200).collect::<String>()
            );
            None
        }
    }
}

/// The part below the device, but not below `run`, which is memory.
fn below(path: &Path, device: &Path) -> Option<PathBuf> {
    let inside = path.strip_prefix(device).ok()?;
    match inside.components().next() {
        Some(Component::Normal(first)) if first == "run" => None,
        _ => Some(inside.to_path_buf()),
    }
}

/// At commas outside quotes, brackets and angles.
fn split(operands: &str) -> Vec<String> {
    let (mut words, mut word, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for letter in operands.chars() {
        match letter {
            '"' => quoted = !quoted,
            '<' | '[' | '{' if !quoted => depth += 1,
            '>' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                words.push(std::mem::take(&mut word).trim().to_string());
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    words.push(word.trim().to_string());
    words
}

/// The path that strace shows beside a descriptor.
fn described(word: &str) -> String {
    let inside = word
        .split_once('<')
        .map_or("", |(_, rest)| rest.rsplit_once('>').map_or("", |(inside, _)| inside));
    String::from_utf8_lossy(&unescape(inside)).into_owned()
}

fn text(word: &str) -> String {
    String::from_utf8_lossy(&bytes(word)).into_owned()
}

fn bytes(word: &str) -> Vec<u8> {
    assert!(!word.ends_with("..."), "strace has shortened what was written");
    unescape(word.trim_matches('"'))
}

/// `\x41` as a byte; anything else as it is.
fn unescape(text: &str) -> Vec<u8> {
    let mut found = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some(first) = rest.first() {
        if rest.starts_with(b"\\x") && rest.len() >= 4 {
            found.push(u8::from_str_radix(std::str::from_utf8(&rest[2..4]).unwrap(), 16).unwrap());
            rest = &rest[4..];
        } else {
            found.push(*first);
            rest = &rest[1..];
        }
    }
    found
}
