//! Owns which part of a folder a run takes: said, or the index of a job of an array.
//! Promises: the same words and index are the same part, also where one job is run again.
//! Never guesses: two indexes at once, or one beyond the parts, are a mistake.

use std::env;

/// Where an array's job finds its index, and the first one that there is.
const INDEXES: [(&str, usize); 4] = [
    ("JOB_COMPLETION_INDEX", 0),
    ("AWS_BATCH_JOB_ARRAY_INDEX", 0),
    ("SLURM_ARRAY_TASK_ID", 1),
    ("PARALLEL_SEQ", 1),
];

/// `3/8`: the third of eight parts. `job/8`: the one of this job.
///
/// # Errors
/// Why it is none.
pub fn shard(text: &str) -> Result<(usize, usize), String> {
    part(text, &|name| env::var(name).ok())
}

fn part(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(usize, usize), String> {
    let wrong = || "write I/N with I from 1 to N, for example 3/8; or job/8 in an array's job";
    let (part, of) = text.split_once('/').ok_or_else(wrong)?;
    let of: usize = of.parse().map_err(|_| wrong())?;
    let part = if part == "job" { of_job(of, variable)? } else { part.parse().unwrap_or(0) };
    if (1..=of).contains(&part) {
        Ok((part, of))
    } else {
        Err(wrong().to_owned())
    }
}

fn of_job(of: usize, variable: &dyn Fn(&str) -> Option<String>) -> Result<usize, String> {
    let set: Vec<(&str, usize, String)> =
        INDEXES.iter().filter_map(|(name, first)| Some((*name, *first, variable(name)?))).collect();
    match set.as_slice() {
        [] => Err(format!("this is no job of an array: none of {} is set", names(&INDEXES))),
        [(name, first, value)] => value
            .parse::<usize>()
            .ok()
            .and_then(|index| index.checked_sub(*first))
            .map(|place| place + 1)
            .filter(|part| *part <= of)
            .ok_or_else(|| {
                let last = of + first - 1;
                format!("{name} is {value}, and of {of} parts it is from {first} to {last}")
            }),
        several => {
            let several: Vec<(&str, usize)> =
                several.iter().map(|(name, first, _)| (*name, *first)).collect();
            Err(format!("{} are set; write I/N", names(&several)))
        }
    }
}

fn names(of: &[(&str, usize)]) -> String {
    let names: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, set: &[(&str, &str)]) -> Result<(usize, usize), String> {
        part(text, &|name| {
            set.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_part_is_the_job_of_each_scheduler() {
        assert_eq!(with("3/8", &[("SLURM_ARRAY_TASK_ID", "1")]), Ok((3, 8)));
        for (name, index, part) in [
            ("JOB_COMPLETION_INDEX", "0", 1),
            ("JOB_COMPLETION_INDEX", "7", 8),
            ("AWS_BATCH_JOB_ARRAY_INDEX", "2", 3),
            ("SLURM_ARRAY_TASK_ID", "1", 1),
            ("SLURM_ARRAY_TASK_ID", "8", 8),
            ("PARALLEL_SEQ", "4", 4),
        ] {
            assert_eq!(with("job/8", &[(name, index)]), Ok((part, 8)), "{name} {index}");
        }
    }

    /// A part that nobody takes, or two take, would be found by no one.
    #[test]
    fn an_index_that_is_none_is_a_mistake() {
        for text in ["0/8", "9/8", "8", "a/8", "1/0", "1/"] {
            assert!(with(text, &[]).is_err(), "{text}");
        }
        for set in [
            &[("JOB_COMPLETION_INDEX", "8")][..],
            &[("SLURM_ARRAY_TASK_ID", "0")],
            &[("SLURM_ARRAY_TASK_ID", "9")],
            &[("SLURM_ARRAY_TASK_ID", "")],
            &[("SLURM_ARRAY_TASK_ID", "1"), ("PARALLEL_SEQ", "1")],
            &[],
        ] {
            assert!(with("job/8", set).is_err(), "{set:?}");
        }
        assert_eq!(
            with("job/8", &[("SLURM_ARRAY_TASK_ID", "0")]),
            Err("SLURM_ARRAY_TASK_ID is 0, and of 8 parts it is from 1 to 8".to_owned())
        );
    }
}
