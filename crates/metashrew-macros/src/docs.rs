//! What an author says in comments and types, as text.

use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Type};

/// An item's doc comment, without the blank that begins its lines.
pub(crate) fn of(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) if meta.path.is_ident("doc") => Some(text.value()),
            _ => None,
        }
    });
    let lines: Vec<_> = lines
        .flat_map(|text| text.split('\n').map(unindented).collect::<Vec<_>>())
        .collect();
    lines.join("\n").trim().to_owned()
}

fn unindented(line: &str) -> String {
    line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
}

/// A type as one writes it.
pub(crate) fn type_name(ty: &Type) -> String {
    let tokens = ty.to_token_stream().to_string();
    let mut name = String::with_capacity(tokens.len());
    let mut rest = tokens.chars().peekable();
    while let Some(char) = rest.next() {
        let is_wanted = char != ' '
            || match (name.chars().last(), rest.peek()) {
                (Some(before), Some(after)) => separates(before, *after),
                _ => false,
            };
        if is_wanted {
            name.push(char);
        }
    }
    name
}

/// Whether a blank stands between these two.
fn separates(before: char, after: char) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || matches!(char, '_' | '\'' | '"');
    let apart = |char| matches!(char, '+' | '=');
    match (before, after) {
        (',' | ';', _) => !matches!(after, '>' | ')' | ']'),
        ('-', '>') | (_, ',' | ';') => false,
        _ => apart(before) || apart(after) || (is_word(before) && is_word(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn lines_stay_lines() {
        let function: syn::ItemFn = parse_quote! {
            /// What an owner has.
            ///
            ///   - each coin
            #[inline]
            #[doc = " in two\n lines "]
            fn balance() {}
        };
        assert_eq!(
            of(&function.attrs),
            "What an owner has.\n\n  - each coin\nin two\nlines"
        );
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn types_are_written_as_usual() {
        for name in [
            "u32",
            "&[u8]",
            "&'a str",
            "[u8; 32]",
            "Vec<Option<(u32, String)>>",
            "proto::alkanes::Request",
            "::std::sync::Arc<Vec<u8>>",
            "Box<dyn Error + Send>",
            "Map<'_, K, V>",
            "()",
        ] {
            assert_eq!(type_name(&syn::parse_str(name).unwrap()), name);
        }
    }
}
