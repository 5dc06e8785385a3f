//! Owns the losses that no run has reported yet, and their bytes: one operation number and one text
//! in format 1, whatever their number is.
//! Promises: each keeps its operation and a share of the text, as long as there is room for the
//! numbers; firmware that knows of one loss alone reads them as one sentence.
//! Never more than [`TEXT_BYTES_MAX`] bytes of text.

use super::{clip, put_text, Reader, TEXT_BYTES_MAX};

/// Data that was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// By which operation.
    pub operation: u64,
    /// In words.
    pub text: String,
}

/// Stands in the text between two losses, before the number of the second.
const NEXT: &str = "; operation ";

pub(super) fn put(out: &mut Vec<u8>, losses: &[Loss]) {
    out.push(u8::from(!losses.is_empty()));
    if let Some(first) = losses.first() {
        out.extend(first.operation.to_le_bytes());
        let all = joined(losses, TEXT_BYTES_MAX);
        let fits = all.len() <= TEXT_BYTES_MAX;
        let text = if fits { all } else { joined(losses, TEXT_BYTES_MAX / losses.len()) };
        put_text(out, clip(&text, TEXT_BYTES_MAX));
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Vec<Loss>> {
    match reader.flag()? {
        false => Some(Vec::new()),
        true => Some(split(reader.u64()?, &reader.text(TEXT_BYTES_MAX)?)),
    }
}

/// One after another, each with this many bytes at most, its number among them.
fn joined(losses: &[Loss], bytes_max: usize) -> String {
    let mut all = String::new();
    for (place, loss) in losses.iter().enumerate() {
        let number = match place {
            0 => String::new(),
            _ => format!("{NEXT}{}: ", loss.operation),
        };
        all.push_str(&number);
        // A table may have any name.
        let words = loss.text.replace(NEXT, ", operation ");
        all.push_str(clip(&words, bytes_max.saturating_sub(number.len())));
    }
    all
}

fn split(operation: u64, text: &str) -> Vec<Loss> {
    let (first, more) = text.split_once(NEXT).map_or((text, None), |(a, b)| (a, Some(b)));
    let mut last = Loss { operation, text: first.to_owned() };
    let mut losses = Vec::new();
    for part in more.into_iter().flat_map(|more| more.split(NEXT)) {
        match numbered(part) {
            // Numbers only grow: anything else is a part of the words.
            Some((operation, words)) if operation > last.operation => {
                let next = Loss { operation, text: words.to_owned() };
                losses.push(std::mem::replace(&mut last, next));
            }
            _ => last.text.extend([NEXT, part]),
        }
    }
    losses.push(last);
    losses
}

fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, words) = text.split_once(": ")?;
    Some((number.parse().ok()?, words))
}
