//! Indexes of a job's pods as text: `1,3-5,7`.

/// How many indexes `text` names, all below `completions`.
///
/// # Errors
/// Why it is none, in upstream's words.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    Ok(intervals(text, completions)?.into_iter().map(|(first, last)| last - first + 1).sum())
}

/// The first index that two texts have in common.
pub(super) fn overlap(a: &str, b: &str, completions: i64) -> Option<i64> {
    let (a, b) = (intervals(a, completions).ok()?, intervals(b, completions).ok()?);
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
    pairs.filter(|(x, y)| x.0 <= y.1 && y.0 <= x.1).map(|(x, y)| x.0.max(y.0)).min()
}

fn intervals(text: &str, completions: i64) -> Result<Vec<(i64, i64)>, String> {
    let order = |previous, current| format!("non-increasing order, previous: {previous}, current: {current}");
    let mut found: Vec<(i64, i64)> = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let limits: Vec<&str> = part.split('-').collect();
        if limits.len() > 2 {
            return Err(format!(
                "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
            ));
        }
        let first = index(limits[0], completions)?;
        let last = match limits.get(1) {
            Some(limit) => index(limit, completions)?,
            None => first,
        };
        if limits.len() == 2 && first >= last {
            return Err(order(first, last));
        }
        if let Some((_, previous)) = found.last().filter(|(_, previous)| *previous >= first) {
            return Err(order(*previous, first));
        }
        found.push((first, last));
    }
    Ok(found)
}

fn index(text: &str, completions: i64) -> Result<i64, String> {
    let index: i64 = text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
    if index >= completions { Err(format!("too large index: {text:?}")) } else { Ok(index) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_counted() {
        for (text, expected) in [
            ("", Ok(0)),
            ("1,3-5,7", Ok(5)),
            (
                "1-2-3",
                Err(
                    "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
                ),
            ),
            ("a", Err("cannot convert string to integer for index: \"a\"")),
            ("1,", Err("cannot convert string to integer for index: \"\"")),
            ("8", Err("too large index: \"8\"")),
            ("3-1", Err("non-increasing order, previous: 3, current: 1")),
            ("1-3,3", Err("non-increasing order, previous: 3, current: 3")),
        ] {
            assert_eq!(count(text, 8), expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(overlap("1,3-5", "0,4-6", 8), Some(4));
        assert_eq!(overlap("1,3", "0,2", 8), None);
    }
}
