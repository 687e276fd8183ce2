//! Parsing a template.

use serde_json::Value;

use super::{Comparison, Filter, JsonPathError, Node, Operand, Step};

type Result<T> = std::result::Result<T, JsonPathError>;

/// What ends a field's name unless a backslash stands before it.
const TERMINATORS: &str = " \t\n.,[]{}()$@=<>!'\"";

pub(super) fn template(text: &str) -> Result<Vec<Node>> {
    Parser { text, at: 0 }.nodes(false)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    // Text and actions up to the end, or to the `{end}` of the range that we are in.
    fn nodes(&mut self, in_range: bool) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            let text = self.rest().split('{').next().unwrap_or_default();
            if !text.is_empty() {
                nodes.push(Node::Text(text.to_owned()));
                self.at += text.len();
            }
            if !self.eat("{") {
                return if in_range { Err(self.error("unterminated range, expected {end}")) } else { Ok(nodes) };
            }
            self.spaces();
            if self.keyword("end") {
                if !in_range {
                    return Err(self.error("not in range, nothing to end"));
                }
                self.close()?;
                return Ok(nodes);
            }
            if self.keyword("range") {
                let steps = self.steps()?;
                self.close()?;
                nodes.push(Node::Range(steps, self.nodes(true)?));
                continue;
            }
            nodes.push(self.action()?);
            self.close()?;
        }
    }

    fn action(&mut self) -> Result<Node> {
        match self.peek() {
            Some('"' | '\'') => Ok(Node::Text(self.quoted()?)),
            _ => Ok(Node::Path(self.steps()?)),
        }
    }

    fn close(&mut self) -> Result<()> {
        self.spaces();
        if self.eat("}") {
            return Ok(());
        }
        Err(self.error(if self.rest().is_empty() { "unclosed action, expected }" } else { "expected . [ or }" }))
    }

    // A path: `$` and `@` say nothing, each is the current object.
    fn steps(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        self.spaces();
        while self.eat("$") || self.eat("@") {}
        loop {
            if self.eat("..") {
                steps.push(Step::Recursive);
                match self.peek() {
                    Some('[') => {}
                    _ => steps.push(self.field("expected a field name after ..")?),
                }
            } else if self.eat(".") {
                // A lone dot is the object itself; a dot before a bracket is allowed.
                if !matches!(self.peek(), None | Some('[' | '}' | ' ' | ')')) {
                    steps.push(self.field("expected a field name after .")?);
                }
            } else if self.eat("[") {
                steps.extend(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn field(&mut self, otherwise: &str) -> Result<Step> {
        if self.eat("*") {
            return Ok(Step::Wildcard);
        }
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at += 1;
                name.extend(self.next());
            } else if TERMINATORS.contains(c) {
                break;
            } else {
                name.extend(self.next());
            }
        }
        if name.is_empty() { Err(self.error(otherwise)) } else { Ok(Step::Field(name)) }
    }

    fn bracket(&mut self) -> Result<Vec<Step>> {
        self.spaces();
        if self.eat("?(") {
            let filter = self.filter()?;
            self.expect("]")?;
            return Ok(vec![Step::Filter(Box::new(filter))]);
        }
        let mut parts = vec![self.selector()?];
        self.spaces();
        while self.eat(",") {
            self.spaces();
            parts.push(self.selector()?);
            self.spaces();
        }
        self.expect("]")?;
        Ok(if parts.len() == 1 { parts.remove(0) } else { vec![Step::Union(parts)] })
    }

    fn selector(&mut self) -> Result<Vec<Step>> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok(vec![Step::Wildcard])
            }
            Some('"' | '\'') => self.quoted_path(),
            Some(c) if c == '-' || c == ':' || c.is_ascii_digit() => Ok(vec![self.index_or_slice()?]),
            _ => Err(self.error("expected an index, a quoted name, *, a slice or ?(")),
        }
    }

    // A quoted key is a path of its own, as upstream reads it: a dot in a name is escaped there too.
    fn quoted_path(&mut self) -> Result<Vec<Step>> {
        let quote = self.next().unwrap_or_default();
        let inner = self.take(|c| c != quote);
        if self.next().is_none() {
            return Err(self.error("unterminated quoted string"));
        }
        let mut steps = Vec::new();
        let mut name = String::new();
        let mut characters = inner.chars();
        while let Some(c) = characters.next() {
            match c {
                '.' => steps.push(Step::Field(std::mem::take(&mut name))),
                '\\' => name.extend(characters.next()),
                c => name.push(c),
            }
        }
        steps.push(Step::Field(name));
        Ok(steps)
    }

    fn index_or_slice(&mut self) -> Result<Step> {
        let start = self.integer()?;
        if !self.eat(":") {
            return start.map(Step::Index).ok_or_else(|| self.error("expected an index"));
        }
        let end = self.integer()?;
        let step = if self.eat(":") { self.integer()?.unwrap_or(1) } else { 1 };
        if step <= 0 {
            return Err(self.error("slice step must be positive"));
        }
        Ok(Step::Slice { start, end, step })
    }

    fn integer(&mut self) -> Result<Option<i64>> {
        let digits = self.take(|c| c == '-' || c.is_ascii_digit());
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| self.error("expected a whole number"))
    }

    fn filter(&mut self) -> Result<Filter> {
        let left = self.operand()?;
        self.spaces();
        let test = match self.comparison() {
            Some(comparison) => Some((comparison, self.operand()?)),
            None => None,
        };
        self.spaces();
        self.expect(")")?;
        Ok(Filter { left, test })
    }

    fn comparison(&mut self) -> Option<Comparison> {
        const ALL: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        // `=` alone is what people write by mistake; it is taken as `==`, as upstream takes it.
        let all = ALL.iter().chain(&[("=", Comparison::Equal)]);
        all.copied().find(|(sign, _)| self.eat(sign)).map(|(_, comparison)| comparison)
    }

    fn operand(&mut self) -> Result<Operand> {
        self.spaces();
        match self.peek() {
            Some('"' | '\'') => Ok(Operand::Literal(Value::String(self.quoted()?))),
            Some('@' | '$' | '.' | '[') => Ok(Operand::Path(self.steps()?)),
            _ => {
                let before = self.at;
                let word = self.take(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                let literal = serde_json::from_str::<Value>(word).ok().filter(|v| !v.is_object() && !v.is_array());
                literal.map(Operand::Literal).ok_or_else(|| {
                    self.at = before;
                    self.error("expected a value")
                })
            }
        }
    }

    // A string in single or double quotes, with the usual escapes.
    fn quoted(&mut self) -> Result<String> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("unterminated quoted string")),
                c if c == quote => return Ok(text),
                Some('\\') => text.push(match self.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(c @ ('\\' | '\'' | '"' | '.' | '/')) => c,
                    _ => return Err(self.error("expected n, t, r, \\, a quote, . or / after \\")),
                }),
                Some(c) => text.push(c),
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn keyword(&mut self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word).map(|rest| rest.chars().next());
        let found = after.is_some_and(|c| c.is_none_or(|c| !c.is_alphanumeric()));
        if found {
            self.at += word.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.eat(token) { Ok(()) } else { Err(self.error(&format!("expected {token}"))) }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn spaces(&mut self) {
        self.take(char::is_whitespace);
    }

    fn error(&self, message: &str) -> JsonPathError {
        let column = self.text[..self.at].chars().count() + 1;
        JsonPathError::Syntax { template: self.text.to_owned(), message: message.to_owned(), column }
    }
}
