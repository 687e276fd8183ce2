//! Reading the text of a label selector, with the complaints of `k8s.io/apimachinery/pkg/labels`.

use super::{ParseError, Requirement};
use crate::field::{Error, Path};
use crate::names;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// One of `= == != ! > < ( ) ,`.
    Sign(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Sign(text) => text,
            Self::End => "",
        }
    }

    fn ends(self) -> bool {
        matches!(self, Self::End | Self::Sign(","))
    }
}

/// What is left of the text.
struct Reader<'a>(&'a str);

/// All requirements of `text`.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, ParseError> {
    let mut reader = Reader(text);
    let mut found = Vec::new();
    loop {
        match reader.peek() {
            Token::Word(_) | Token::Sign("!") => {}
            Token::End => return Ok(found),
            other => return Err(expected(other, "!, identifier, or 'end of string'")),
        }
        let requirement = reader.requirement();
        found.push(requirement.map_err(|error| ParseError(format!("unable to parse requirement: {error}")))?);
        match reader.next() {
            Token::End => return Ok(found),
            Token::Sign(",") => match reader.peek() {
                Token::Word(_) | Token::Sign("!") => {}
                other => return Err(expected(other, "identifier after ','")),
            },
            other => return Err(expected(other, "',' or 'end of string'")),
        }
    }
}

fn expected(found: Token<'_>, what: &str) -> ParseError {
    ParseError(format!("found '{}', expected: {what}", found.text()))
}

impl<'a> Reader<'a> {
    /// The next token, and what follows it.
    fn split(&self) -> (Token<'a>, &'a str) {
        let text = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            return (Token::End, text);
        }
        for sign in ["==", "!=", "=", "!", ">", "<", "(", ")", ","] {
            if let Some(rest) = text.strip_prefix(sign) {
                return (Token::Sign(sign), rest);
            }
        }
        let is_end = |letter: char| "=!(),><".contains(letter) || letter.is_ascii_whitespace();
        let (word, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
        (Token::Word(word), rest)
    }

    fn peek(&self) -> Token<'a> {
        self.split().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, rest) = self.split();
        self.0 = rest;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, ParseError> {
        let mut token = self.next();
        let is_absent = token == Token::Sign("!");
        if is_absent {
            token = self.next();
        }
        let Token::Word(key) = token else { return Err(expected(token, "identifier")) };
        complain(&Path::default().child("key"), key, names::qualified_name(key))?;
        let key = key.to_owned();
        if is_absent {
            return Ok(Requirement::Absent(key));
        }
        if self.peek().ends() {
            return Ok(Requirement::Exists(key));
        }
        match self.next() {
            Token::Word("in") => Ok(Requirement::In(key.clone(), self.values(&key)?)),
            Token::Word("notin") => Ok(Requirement::NotIn(key.clone(), self.values(&key)?)),
            Token::Sign("=" | "==") => Ok(Requirement::In(key.clone(), vec![self.value(&key)?])),
            Token::Sign("!=") => Ok(Requirement::NotIn(key.clone(), vec![self.value(&key)?])),
            Token::Sign(">") => Ok(Requirement::Above(key.clone(), self.number(&key)?)),
            Token::Sign("<") => Ok(Requirement::Below(key.clone(), self.number(&key)?)),
            other => Err(expected(other, OPERATORS)),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, ParseError> {
        if self.peek().ends() {
            return Ok(String::new());
        }
        match self.next() {
            Token::Word(value) => checked(key, 0, value),
            other => Err(expected(other, "identifier")),
        }
    }

    fn number(&mut self, key: &str) -> Result<i64, ParseError> {
        let value = self.value(key)?;
        let why = "for 'Gt', 'Lt' operators, the value must be an integer";
        let path = Path::default().child("values").index(0);
        value.parse().map_err(|_| ParseError(Error::invalid(&path, &*value, why).to_string()))
    }

    fn values(&mut self, key: &str) -> Result<Vec<String>, ParseError> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(ParseError(format!("found '{}' expected: '('", other.text()))),
        }
        let mut values = Vec::new();
        loop {
            // One that is left out is empty.
            let value = match self.peek() {
                Token::Word(word) => {
                    self.next();
                    word
                }
                Token::Sign(",") => "",
                Token::Sign(")") if !values.is_empty() => "",
                Token::Sign(")") => {
                    let why = "for 'in', 'notin' operators, values set can't be empty";
                    let path = Path::default().child("values");
                    let none = Vec::<String>::new();
                    return Err(ParseError(Error::invalid(&path, none, why).to_string()));
                }
                other => return Err(expected(other, "',', ')' or identifier")),
            };
            values.push(checked(key, values.len(), value)?);
            match self.next() {
                Token::Sign(")") => return Ok(values),
                Token::Sign(",") => {}
                other => return Err(expected(other, "',' or ')'")),
            }
        }
    }
}

fn checked(key: &str, index: usize, value: &str) -> Result<String, ParseError> {
    let path = Path::default().child("values").index(index).key(key);
    complain(&path, value, names::label_value(value))?;
    Ok(value.to_owned())
}

fn complain(path: &Path, value: &str, why: Vec<String>) -> Result<(), ParseError> {
    if why.is_empty() {
        return Ok(());
    }
    Err(ParseError(Error::invalid(path, value, why.join("; ")).to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::Selector;

    #[test]
    fn complaints_say_what_was_expected() {
        for (text, expected) in [
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("=x", "found '=', expected: !, identifier, or 'end of string'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a=b,", "found '', expected: identifier after ','"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("a==(", "unable to parse requirement: found '(', expected: identifier"),
            (
                "a in ()",
                "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
            ),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        let error = Selector::parse("a=-b").unwrap_err().to_string();
        assert!(
            error.starts_with("unable to parse requirement: values[0][a]: Invalid value: \"-b\": a valid label"),
            "{error}"
        );
        let error = Selector::parse("-a").unwrap_err().to_string();
        assert!(
            error.starts_with("unable to parse requirement: key: Invalid value: \"-a\": name part must"),
            "{error}"
        );
    }

    #[test]
    fn what_is_left_out_is_empty() {
        for (text, same) in [("a=", "a in (,)"), ("a in (b,)", "a in (b,,)"), ("in in (in)", "in=in")] {
            let (selector, same) = (Selector::parse(text).unwrap(), Selector::parse(same).unwrap());
            let labels = |value: &'static str| move |_: &str| Some(value);
            for value in ["", "b", "in", "c"] {
                assert_eq!(selector.matches(labels(value)), same.matches(labels(value)), "{text} {value}");
            }
        }
    }
}
