//! Tokens into an expression.

use super::ast::{Entry, Expr, Field, Item, Kind, Literal};
use super::lex::{Lexeme, Token, tokens};
use super::macros;
use super::problem::Problem;

/// Deeper than this an expression may not be: whoever looks at it looks from outside in, on the
/// stack.
const MAX_DEPTH: usize = 150;
/// Nor may more than these be open at once, which takes more of the stack.
const MAX_OPEN: usize = 60;
/// The most characters a source may have.
const MAX_SIZE: usize = 100_000;
/// Words that no variable may be called by.
pub(super) const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
const PRIMARY: &str =
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Reads the one expression that `source` is.
pub(super) fn parse(source: &str) -> Result<Expr, Problem> {
    let size = source.chars().count();
    if size > MAX_SIZE {
        let message = format!("expression code point size exceeds limit: size: {size}, limit {MAX_SIZE}");
        return Err(Problem::new(0, message));
    }
    let mut parser = Parser { lexemes: tokens(source)?, next: 0, maker: Maker::default(), depth: 0 };
    let expr = parser.expr()?;
    if parser.peek().token != Token::End {
        let found = parser.peek();
        let message = format!("Syntax error: extraneous input '{}' expecting <EOF>", found.text);
        return Err(Problem::new(found.at, message));
    }
    if depth(&expr) > MAX_DEPTH {
        return Err(too_deep(0, MAX_DEPTH));
    }
    Ok(expr)
}

fn too_deep(at: usize, most: usize) -> Problem {
    Problem::new(at, format!("expression recursion limit exceeded: {most}"))
}

// Not by recursion, for a chain of operators may be long.
fn depth(root: &Expr) -> usize {
    let (mut left, mut deepest) = (vec![(root, 1)], 0);
    while let Some((expr, depth)) = left.pop() {
        deepest = deepest.max(depth);
        let mut push = |child| left.push((child, depth + 1));
        match &expr.kind {
            Kind::Literal(_) | Kind::Ident(_) => {}
            Kind::Select { operand, .. } => push(operand),
            Kind::Call { target, args, .. } => target.iter().map(|target| &**target).chain(args).for_each(push),
            Kind::List(items) => items.iter().for_each(|item| push(&item.value)),
            Kind::Map(entries) => entries.iter().flat_map(|entry| [&entry.key, &entry.value]).for_each(push),
            Kind::Struct { fields, .. } => fields.iter().for_each(|field| push(&field.value)),
            Kind::Fold(fold) => [&fold.range, &fold.init, &fold.step, &fold.result].into_iter().for_each(push),
        }
    }
    deepest
}

/// Makes expressions, each with an identity of its own.
#[derive(Default)]
pub(super) struct Maker {
    next: usize,
}

impl Maker {
    pub(super) fn make(&mut self, at: usize, kind: Kind) -> Expr {
        self.next += 1;
        Expr { id: self.next, at, kind }
    }

    pub(super) fn call(&mut self, at: usize, function: &str, args: Vec<Expr>) -> Expr {
        self.make(at, Kind::Call { function: function.to_owned(), target: None, args })
    }

    pub(super) fn member(&mut self, at: usize, target: Expr, function: &str, args: Vec<Expr>) -> Expr {
        self.make(at, Kind::Call { function: function.to_owned(), target: Some(Box::new(target)), args })
    }

    pub(super) fn ident(&mut self, at: usize, name: &str) -> Expr {
        self.make(at, Kind::Ident(name.to_owned()))
    }

    pub(super) fn literal(&mut self, at: usize, literal: Literal) -> Expr {
        self.make(at, Kind::Literal(literal))
    }
}

struct Parser {
    lexemes: Vec<Lexeme>,
    next: usize,
    maker: Maker,
    depth: usize,
}

type Parsed = Result<Expr, Problem>;

impl Parser {
    fn peek(&self) -> &Lexeme {
        &self.lexemes[self.next]
    }

    fn advance(&mut self) -> Lexeme {
        let lexeme = self.lexemes[self.next].clone();
        self.next = (self.next + 1).min(self.lexemes.len() - 1);
        lexeme
    }

    /// Takes one of `operators` if it is next.
    fn take(&mut self, operators: &[&'static str]) -> Option<(&'static str, usize)> {
        let Lexeme { token: Token::Op(found), at, .. } = self.peek() else { return None };
        let taken = operators.contains(found).then_some((*found, *at))?;
        self.advance();
        Some(taken)
    }

    fn expect(&mut self, operator: &'static str) -> Result<usize, Problem> {
        match self.take(&[operator]) {
            Some((_, at)) => Ok(at),
            None => Err(self.unexpected(&format!("'{operator}'"))),
        }
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let found = self.peek();
        let how = if found.token == Token::End || expected != PRIMARY { "mismatched" } else { "extraneous" };
        Problem::new(found.at, format!("Syntax error: {how} input '{}' expecting {expected}", found.text))
    }

    fn expr(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_OPEN {
            return Err(too_deep(self.peek().at, MAX_OPEN));
        }
        let condition = self.logical("||")?;
        let expr = match self.take(&["?"]) {
            None => condition,
            Some((_, at)) => {
                let truthy = self.logical("||")?;
                self.expect(":")?;
                let falsy = self.expr()?;
                self.maker.call(at, "_?_:_", vec![condition, truthy, falsy])
            }
        };
        self.depth -= 1;
        Ok(expr)
    }

    /// A chain of `||`, whose terms are chains of `&&`: a balanced tree, however long.
    fn logical(&mut self, operator: &'static str) -> Parsed {
        let term = |this: &mut Self| if operator == "||" { this.logical("&&") } else { this.relation() };
        let (mut terms, mut places) = (vec![term(self)?], Vec::new());
        while let Some((_, at)) = self.take(&[operator]) {
            places.push(at);
            terms.push(term(self)?);
        }
        let function = if operator == "||" { "_||_" } else { "_&&_" };
        Ok(self.balanced(function, &mut terms.into_iter(), &places))
    }

    fn balanced(&mut self, function: &str, terms: &mut std::vec::IntoIter<Expr>, places: &[usize]) -> Expr {
        if places.is_empty() {
            return terms.next().expect("there is one term more than operators");
        }
        let middle = places.len() / 2;
        let left = self.balanced(function, terms, &places[..middle]);
        let right = self.balanced(function, terms, &places[middle + 1..]);
        self.maker.call(places[middle], function, vec![left, right])
    }

    fn relation(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while let Some((operator, at)) = self.take(&["<", "<=", ">=", ">", "==", "!=", "in"]) {
            let right = self.sum()?;
            let function = if operator == "in" { "@in".to_owned() } else { format!("_{operator}_") };
            left = self.maker.call(at, &function, vec![left, right]);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        while let Some((operator, at)) = self.take(&["+", "-"]) {
            let right = self.product()?;
            left = self.maker.call(at, &format!("_{operator}_"), vec![left, right]);
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        while let Some((operator, at)) = self.take(&["*", "/", "%"]) {
            let right = self.unary()?;
            left = self.maker.call(at, &format!("_{operator}_"), vec![left, right]);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        if let Some((_, at)) = self.take(&["!"]) {
            let mut odd = true;
            while self.take(&["!"]).is_some() {
                odd = !odd;
            }
            let operand = self.member()?;
            return Ok(if odd { self.maker.call(at, "!_", vec![operand]) } else { operand });
        }
        let Some((_, at)) = self.take(&["-"]) else { return self.member() };
        let negated = match &mut self.lexemes[self.next].token {
            Token::Literal(Literal::Int(number)) => {
                *number = number.wrapping_neg();
                true
            }
            Token::Literal(Literal::Double(number)) => {
                *number = -*number;
                true
            }
            _ => false,
        };
        if negated {
            let Token::Literal(literal) = self.advance().token else { unreachable!("it was looked at above") };
            let literal = self.maker.literal(at, literal);
            return self.postfix(literal);
        }
        let mut odd = true;
        while self.take(&["-"]).is_some() {
            odd = !odd;
        }
        let operand = self.member()?;
        Ok(if odd { self.maker.call(at, "-_", vec![operand]) } else { operand })
    }

    fn member(&mut self) -> Parsed {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut operand: Expr) -> Parsed {
        while let Some((operator, at)) = self.take(&[".", "["]) {
            if operator == "[" {
                let optional = self.take(&["?"]).is_some();
                let index = self.expr()?;
                self.expect("]")?;
                operand = self.maker.call(at, if optional { "_[?_]" } else { "_[_]" }, vec![operand, index]);
                continue;
            }
            let optional = self.take(&["?"]).is_some();
            let named = self.advance();
            let (field, quoted) = match named.token {
                Token::Ident(name) => (name, false),
                Token::Quoted(name) => (name, true),
                _ => {
                    self.next -= 1;
                    return Err(Problem::new(
                        named.at,
                        format!(
                            "Syntax error: no viable alternative at input '.{}'",
                            if named.text == "<EOF>" { "" } else { &named.text }
                        ),
                    ));
                }
            };
            if optional {
                let field = self.maker.literal(named.at, Literal::String(field));
                operand = self.maker.call(at, "_?._", vec![operand, field]);
            } else if let (false, Some((_, open))) = (quoted, self.take(&["("])) {
                let args = self.args()?;
                operand = macros::member(&mut self.maker, open, operand, &field, args)?;
            } else {
                operand = self.maker.make(at, Kind::Select { operand: Box::new(operand), field, presence: false });
            }
        }
        Ok(operand)
    }

    fn args(&mut self) -> Result<Vec<Expr>, Problem> {
        let mut args = Vec::new();
        if self.take(&[")"]).is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.take(&[","]).is_none() {
                self.expect(")")?;
                return Ok(args);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let lexeme = self.peek().clone();
        match lexeme.token {
            Token::Literal(Literal::Int(i64::MIN)) => Err(Problem::new(lexeme.at, "invalid int literal")),
            Token::Literal(literal) => {
                self.advance();
                Ok(self.maker.literal(lexeme.at, literal))
            }
            Token::Ident(_) => self.named(false),
            Token::Op(".") => {
                self.advance();
                if !matches!(self.peek().token, Token::Ident(_)) {
                    return Err(self.unexpected("IDENTIFIER"));
                }
                self.named(true)
            }
            Token::Op("(") => {
                self.advance();
                let expr = self.expr()?;
                self.expect(")")?;
                Ok(expr)
            }
            Token::Op("[") => self.list(),
            Token::Op("{") => self.map(),
            _ => Err(self.unexpected(PRIMARY)),
        }
    }

    /// A variable, a call, or a struct by the name of its type.
    fn named(&mut self, rooted: bool) -> Parsed {
        let Lexeme { token: Token::Ident(mut name), at, .. } = self.advance() else {
            unreachable!("it was looked at by the caller")
        };
        if let Some((_, open)) = self.take(&["("]) {
            let args = self.args()?;
            return macros::global(&mut self.maker, open, &name, args);
        }
        // `Object.spec{…}`: only ahead does it show whether the dots are of a type's name.
        let mut ahead = self.next;
        while self.lexemes[ahead].token == Token::Op(".") && matches!(self.lexemes[ahead + 1].token, Token::Ident(_)) {
            ahead += 2;
        }
        if self.lexemes[ahead].token == Token::Op("{") {
            for lexeme in &self.lexemes[self.next..ahead] {
                name.push_str(&lexeme.text);
            }
            self.next = ahead;
            return self.fields(name);
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(Problem::new(at, format!("Syntax error: reserved identifier: {name}")));
        }
        let name = if rooted { format!(".{name}") } else { name };
        Ok(self.maker.ident(at, name.trim_start_matches('.')))
    }

    fn fields(&mut self, name: String) -> Parsed {
        let open = self.expect("{")?;
        let mut fields = Vec::new();
        while self.take(&["}"]).is_none() {
            let optional = self.take(&["?"]).is_some();
            let named = self.advance();
            let (Token::Ident(field) | Token::Quoted(field)) = named.token else {
                self.next -= 1;
                return Err(self.unexpected("IDENTIFIER"));
            };
            let at = self.expect(":")?;
            fields.push(Field { at, name: field, value: self.expr()?, optional });
            if self.take(&[","]).is_none() && !matches!(self.peek().token, Token::Op("}")) {
                return Err(self.unexpected("{'}', ','}"));
            }
        }
        Ok(self.maker.make(open, Kind::Struct { name, fields }))
    }

    fn list(&mut self) -> Parsed {
        let open = self.expect("[")?;
        let mut items = Vec::new();
        while self.take(&["]"]).is_none() {
            let optional = self.take(&["?"]).is_some();
            items.push(Item { value: self.expr()?, optional });
            if self.take(&[","]).is_none() && !matches!(self.peek().token, Token::Op("]")) {
                return Err(self.unexpected("{']', ','}"));
            }
        }
        Ok(self.maker.make(open, Kind::List(items)))
    }

    fn map(&mut self) -> Parsed {
        let open = self.expect("{")?;
        let mut entries = Vec::new();
        while self.take(&["}"]).is_none() {
            let optional = self.take(&["?"]).is_some();
            let key = self.expr()?;
            self.expect(":")?;
            entries.push(Entry { key, value: self.expr()?, optional });
            if self.take(&[","]).is_none() && !matches!(self.peek().token, Token::Op("}")) {
                return Err(self.unexpected("{'}', ','}"));
            }
        }
        Ok(self.maker.make(open, Kind::Map(entries)))
    }
}
