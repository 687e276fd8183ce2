//! Objects without their `metadata.managedFields`, before they are read: half of a small object says
//! who owns its fields, which nobody looks at but those who apply.

use std::ops::Range;

/// `json` without the `metadata.managedFields` of the object that it is. `None` when there are none,
/// or when it is no JSON: whoever reads it will say so.
pub(crate) fn without_managed_fields(json: &[u8]) -> Option<Vec<u8>> {
    let mut scan = Scan { json, at: 0 };
    scan.find(b"metadata")?;
    let mut field = scan.find(b"managedFields")?;
    scan.value()?;
    field.end = scan.at;
    // One comma goes with it: that behind it, or before it if it is the last.
    if scan.next()? == b',' {
        field.end = scan.at + 1;
    } else if let Some(comma) = json[..field.start].iter().rposition(|byte| !byte.is_ascii_whitespace())
        && json[comma] == b','
    {
        field.start = comma;
    }
    let mut rest = Vec::with_capacity(json.len() - field.len());
    rest.extend_from_slice(&json[..field.start]);
    rest.extend_from_slice(&json[field.end..]);
    Some(rest)
}

struct Scan<'a> {
    json: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    /// The next byte that is no space. It is not taken.
    fn next(&mut self) -> Option<u8> {
        self.at += self.json.get(self.at..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
        Some(self.json[self.at])
    }

    /// Takes `byte`, if it is next.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    /// Goes to the value of the field `name` of the object that is next; where the field's name is.
    fn find(&mut self, name: &[u8]) -> Option<Range<usize>> {
        self.take(b'{')?;
        loop {
            self.next()?;
            let start = self.at;
            let found = self.string()?;
            let end = self.at;
            self.take(b':')?;
            if &self.json[found] == name {
                return Some(start..end);
            }
            self.value()?;
            self.take(b',')?;
        }
    }

    /// Takes a string; what is between its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            self.at += memchr::memchr2(b'"', b'\\', self.json.get(self.at..)?)?;
            if self.json[self.at] == b'"' {
                self.at += 1;
                return Some(start..self.at - 1);
            }
            self.at += 2;
        }
    }

    /// Takes any value.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                // There is nothing in what was opened last, or nothing more.
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => self.at += self.json[self.at..].iter().position(|byte| b",:}] \t\r\n".contains(byte))?.max(1),
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lean(json: &str) -> Option<Value> {
        without_managed_fields(json.as_bytes()).map(|cut| serde_json::from_slice(&cut).unwrap())
    }

    #[test]
    fn only_the_objects_own_managed_fields_go() {
        let owned = json!([{"manager": "a \"}] \\", "fieldsV1": {"f:x": {}}, "n": [1, -2.5e3, true, null, "é"]}, {}]);
        let mut object = json!({
            "apiVersion": "v1", "a": {"managedFields": [1], "metadata": {"managedFields": 2}}, "list": [[], {}, [{}]],
            "metadata": {"annotations": {"managedFields": "\"managedFields\":[1]"}, "managedFields": owned, "name": "x"},
            "spec": {"template": {"metadata": {"managedFields": [3]}}},
        });
        let (small, spaced) = (object.to_string(), serde_json::to_string_pretty(&object).unwrap());
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        assert_eq!(lean(&small).unwrap(), object);
        assert_eq!(lean(&spaced).unwrap(), object);
        assert_eq!(lean(&object.to_string()), None);
    }

    #[test]
    fn wherever_they_stand_a_comma_goes_with_them() {
        for metadata in [
            r#"{"managedFields":[]}"#,
            r#"{"managedFields":[], "name":"x"}"#,
            r#"{"name":"x" , "managedFields":null }"#,
            r#"{"a":"x","managedFields":{},"name":1}"#,
        ] {
            let json = format!(r#" {{"metadata" : {metadata} , "z": 1}}"#);
            let mut expected: Value = serde_json::from_str(&json).unwrap();
            expected["metadata"].as_object_mut().unwrap().remove("managedFields");
            assert_eq!(lean(&json), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_left_as_it_is() {
        let whole = r#"{"a":[1,{"b":"c\\"}],"metadata":{"managedFields":[{"x":1}],"n":"y"}}"#;
        let cut = without_managed_fields(whole.as_bytes()).unwrap();
        for end in 0..whole.len() {
            // Whatever is cut of what is cut short is cut short, too.
            let short = without_managed_fields(&whole.as_bytes()[..end]);
            assert!(short.is_none_or(|short| cut.starts_with(&short)), "{end}");
        }
        for json in
            ["", "[]", "null", "{]", r#"{"metadata":3}"#, r#"{"metadata":}"#, r#"{"metadata":{"managedFields"}}"#]
        {
            assert_eq!(without_managed_fields(json.as_bytes()), None, "{json}");
        }
    }
}
