//! A rule in CEL: `rule = "self <= 100"`, `rule("self.a <= self.b", message = "…")`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Ident, LitStr, Meta, Result, Token};

use super::meta::text;
use crate::cel;

const EXPECTED: &str = "expected `rule(\"self.min <= self.max\")`, and if need be `message = \"…\"`, \
                        `message_expression = \"…\"`, `reason = \"FieldValueInvalid\"`, `field_path = \".min\"`, \
                        `optional_old_self`";
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// One of the `x-kubernetes-validations`.
pub(crate) struct Rule {
    rule: LitStr,
    message: Option<LitStr>,
    message_expression: Option<LitStr>,
    reason: Option<LitStr>,
    field_path: Option<LitStr>,
    optional_old_self: Option<Ident>,
}

impl Rule {
    pub(crate) fn read(meta: &Meta) -> Result<Self> {
        let rule = match meta {
            Meta::NameValue(_) => Self::new(text(meta)?),
            Meta::List(list) => list.parse_args_with(|input: ParseStream<'_>| {
                let mut rule = Self::new(input.parse().map_err(|_| Error::new_spanned(list, EXPECTED))?);
                while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
                    rule.more(input)?;
                }
                if input.is_empty() { Ok(rule) } else { Err(input.error(EXPECTED)) }
            })?,
            Meta::Path(path) => return Err(Error::new_spanned(path, EXPECTED)),
        };
        rule.check()?;
        Ok(rule)
    }

    fn new(rule: LitStr) -> Self {
        let (message, message_expression, reason, field_path) = (None, None, None, None);
        Self { rule, message, message_expression, reason, field_path, optional_old_self: None }
    }

    fn more(&mut self, input: ParseStream<'_>) -> Result<()> {
        let word: Ident = Ident::parse_any(input)?;
        let text = || {
            input.parse::<Token![=]>().map_err(|_| Error::new_spanned(&word, EXPECTED))?;
            input.parse::<LitStr>().map_err(|error| Error::new(error.span(), "expected a string in quotes"))
        };
        match word.to_string().as_str() {
            "message" => self.message = Some(text()?),
            "message_expression" => self.message_expression = Some(text()?),
            "reason" => self.reason = Some(text()?),
            "field_path" => self.field_path = Some(text()?),
            "optional_old_self" => self.optional_old_self = Some(word),
            _ => return Err(Error::new_spanned(word, EXPECTED)),
        }
        Ok(())
    }

    // What the API server asks of a rule's texts.
    fn check(&self) -> Result<()> {
        let breaks = |text: &LitStr| text.value().contains(['\n', '\r']);
        if self.rule.value().trim().is_empty() {
            return Err(Error::new(self.rule.span(), "expected an expression in CEL, as `self <= 100`"));
        }
        for source in [Some(&self.rule), self.message_expression.as_ref()].into_iter().flatten() {
            if let Err(why) = cel::check(&source.value()) {
                return Err(Error::new(source.span(), format!("this is no expression in CEL:\n{why}")));
            }
        }
        if let Some(message) = self.message.as_ref().filter(|text| breaks(text) || text.value().trim().is_empty()) {
            return Err(Error::new(message.span(), "expected a message of one line"));
        }
        if self.message.is_none() && breaks(&self.rule) {
            return Err(Error::new(self.rule.span(), "a rule of several lines needs a message: add `message = \"…\"`"));
        }
        if let Some(reason) = self.reason.as_ref().filter(|reason| !REASONS.contains(&reason.value().as_str())) {
            return Err(Error::new(reason.span(), format!("expected one of {}", REASONS.join(", "))));
        }
        if let Some(path) = self.field_path.as_ref().filter(|path| !path.value().starts_with(['.', '['])) {
            let message = format!("expected a path below `self`, as `.{}`", path.value());
            return Err(Error::new(path.span(), message));
        }
        if let Some(word) = self.optional_old_self.as_ref().filter(|_| !self.rule.value().contains("oldSelf")) {
            return Err(Error::new_spanned(word, "the rule does not look at `oldSelf`; remove this"));
        }
        Ok(())
    }
}

/// As JSON.
impl ToTokens for Rule {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let rule = &self.rule;
        let texts = [
            ("message", &self.message),
            ("messageExpression", &self.message_expression),
            ("reason", &self.reason),
            ("fieldPath", &self.field_path),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| text.as_ref().map(|text| quote!(, #name: #text)));
        let optional = self.optional_old_self.as_ref().map(|_| quote!(, "optionalOldSelf": true));
        tokens.extend(quote!({"rule": #rule #(#texts)* #optional}));
    }
}
