//! Source text into tokens (<https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>).

use super::ast::Literal;
use super::problem::Problem;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Ident(String),
    /// An identifier between backticks: only a field may be called so.
    Quoted(String),
    Literal(Literal),
    /// Punctuation, and `in`.
    Op(&'static str),
    End,
}

/// A token, where it begins, and how it is written.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub token: Token,
    pub at: usize,
    pub text: String,
}

/// Longer ones first.
const OPERATORS: [&str; 27] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")", "[", "]", "{", "}",
    ",", ".", ";", "=", "@",
];

/// Reads all of `source`.
pub(super) fn tokens(source: &str) -> Result<Vec<Lexeme>, Problem> {
    let mut lexer = Lexer { source, at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_blanks();
        let at = lexer.at;
        let token = lexer.next()?;
        let text = if token == Token::End { "<EOF>".to_owned() } else { source[at..lexer.at].to_owned() };
        let is_last = token == Token::End;
        found.push(Lexeme { token, at, text });
        if is_last {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if let Some(literal) = self.text()? {
            return Ok(Token::Literal(literal));
        }
        let rest = self.rest();
        if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return self.number().map(Token::Literal);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = rest[..end].to_owned();
            self.at += end;
            return Ok(match word.as_str() {
                "true" => Token::Literal(Literal::Bool(true)),
                "false" => Token::Literal(Literal::Bool(false)),
                "null" => Token::Literal(Literal::Null),
                "in" => Token::Op("in"),
                _ => Token::Ident(word),
            });
        }
        if first == '`'
            && let Some(end) = rest[1..].find('`')
        {
            let name = rest[1..=end].to_owned();
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c)) {
                self.at += end + 2;
                return Ok(Token::Quoted(name));
            }
        }
        if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator))
            && !matches!(*operator, ";" | "=" | "@")
        {
            self.at += operator.len();
            return Ok(Token::Op(operator));
        }
        Err(Problem::new(self.at, format!("Syntax error: token recognition error at: '{first}'")))
    }

    fn number(&mut self) -> Result<Literal, Problem> {
        let (rest, at) = (&self.source[self.at..], self.at);
        let wrong = |what: &str| Err(Problem::new(at, format!("invalid {what} literal")));
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            if end > 0 {
                self.at += 2 + end;
                if hex[end..].starts_with(['u', 'U']) {
                    self.at += 1;
                    return u64::from_str_radix(&hex[..end], 16).map(Literal::Uint).or_else(|_| wrong("uint"));
                }
                return u64::from_str_radix(&hex[..end], 16)
                    .or_else(|_| wrong("int").map(|_| 0))
                    .and_then(|n| whole(n, at));
            }
        }
        let digits = |from: usize| from + rest[from..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - from);
        let mut end = digits(0);
        let mut is_double = false;
        if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            end = digits(end + 1);
            is_double = true;
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = end + 1 + usize::from(rest[end + 1..].starts_with(['+', '-']));
            if digits(sign) > sign {
                end = digits(sign);
                is_double = true;
            }
        }
        self.at += end;
        let text = &rest[..end];
        if is_double {
            return text.parse().map(Literal::Double).or_else(|_| wrong("double"));
        }
        if rest[end..].starts_with(['u', 'U']) {
            self.at += 1;
            return text.parse().map(Literal::Uint).or_else(|_| wrong("uint"));
        }
        match text.parse::<u64>() {
            Ok(number) => whole(number, at),
            Err(_) => wrong("int"),
        }
    }

    fn text(&mut self) -> Result<Option<Literal>, Problem> {
        let start = self.at;
        let rest = &self.source[self.at..];
        // Not further than a prefix goes, or reading would take the square of the length.
        let prefix = rest.bytes().take(2).take_while(|byte| b"rRbB".contains(byte)).count();
        if !rest[prefix..].starts_with(['"', '\'']) {
            return Ok(None);
        }
        let (raw, bytes) = (rest[..prefix].contains(['r', 'R']), rest[..prefix].contains(['b', 'B']));
        let quote = &rest[prefix..=prefix];
        let tripled = quote.repeat(3);
        let close = if rest[prefix..].starts_with(&tripled) { tripled.as_str() } else { quote };
        let body = &rest[prefix + close.len()..];
        let mut at = 0;
        while !body[at..].starts_with(close) {
            let Some(c) = body[at..].chars().next().filter(|c| close.len() == 3 || !matches!(c, '\n' | '\r')) else {
                return Err(Problem::new(
                    start,
                    format!("Syntax error: token recognition error at: '{}'", &rest[..prefix + close.len() + at]),
                ));
            };
            at += c.len_utf8();
            if c == '\\' && !raw {
                at += body[at..].chars().next().map_or(0, char::len_utf8);
            }
        }
        self.at += prefix + close.len() * 2 + at;
        let body = &body[..at];
        let content = if raw {
            body.as_bytes().to_vec()
        } else {
            unescape(body, bytes).map_err(|why| Problem::new(start, why))?
        };
        Ok(Some(if bytes {
            Literal::Bytes(content)
        } else {
            Literal::String(String::from_utf8(content).map_err(|_| Problem::new(start, "invalid unicode code point"))?)
        }))
    }
}

// One more than the greatest fits behind a minus sign.
fn whole(number: u64, at: usize) -> Result<Literal, Problem> {
    match i64::try_from(number) {
        Ok(number) => Ok(Literal::Int(number)),
        Err(_) if number == 1 << 63 => Ok(Literal::Int(i64::MIN)),
        Err(_) => Err(Problem::new(at, "invalid int literal")),
    }
}

fn unescape(body: &str, bytes: bool) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    let push = |out: &mut Vec<u8>, c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut out, c);
            continue;
        }
        let kind = chars.next().ok_or("unable to unescape string, unexpected end")?;
        let simple = match kind {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' | '\'' | '"' | '`' | '?' => kind,
            'x' | 'X' | 'u' | 'U' | '0'..='3' => {
                let (count, radix, first) = match kind {
                    'x' | 'X' => (2, 16, None),
                    'u' => (4, 16, None),
                    'U' => (8, 16, None),
                    digit => (2, 8, Some(digit)),
                };
                let digits: String = first.into_iter().chain(chars.by_ref().take(count)).collect();
                let number = u32::from_str_radix(&digits, radix).map_err(|_| "unable to unescape string")?;
                if bytes && !matches!(kind, 'u' | 'U') {
                    out.push(u8::try_from(number).map_err(|_| "unable to unescape string")?);
                    continue;
                }
                char::from_u32(number).ok_or("invalid unicode code point")?
            }
            _ => return Err(format!("unable to unescape string: \\{kind}")),
        };
        push(&mut out, simple);
    }
    Ok(out)
}
