//! What stands in the parentheses of `#[view(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, Result, Token};

/// How an input or an answer is written in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Bytes,
    Json,
    Prost,
}

/// A codec, and where it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) codec: Codec,
    pub(crate) span: Span,
}

/// The arguments of `#[view]`.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) input: Chosen,
    pub(crate) answer: Chosen,
    /// Where `schema` was asked for.
    pub(crate) schema: Option<Span>,
    /// Where `height_independent` was said.
    pub(crate) height_independent: Option<Span>,
}

enum Argument {
    Both(Chosen),
    Input(Chosen),
    Answer(Chosen),
    Schema(Span),
    HeightIndependent(Span),
}

impl Arguments {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let list = syn::punctuated::Punctuated::<Argument, Token![,]>::parse_terminated;
        let (mut input, mut answer, mut schema) = (None, None, None);
        let mut height_independent = None;
        for argument in list.parse2(tokens)? {
            match argument {
                Argument::Both(chosen) => {
                    once(&mut input, chosen.clone(), chosen.span)?;
                    once(&mut answer, chosen.clone(), chosen.span)?;
                }
                Argument::Input(chosen) => once(&mut input, chosen.clone(), chosen.span)?,
                Argument::Answer(chosen) => once(&mut answer, chosen.clone(), chosen.span)?,
                Argument::Schema(span) => once(&mut schema, span, span)?,
                Argument::HeightIndependent(span) => once(&mut height_independent, span, span)?,
            }
        }
        let bytes = Chosen {
            codec: Codec::Bytes,
            span: Span::call_site(),
        };
        let arguments = Self {
            input: input.unwrap_or_else(|| bytes.clone()),
            answer: answer.unwrap_or(bytes),
            schema,
            height_independent,
        };
        let has_json = [&arguments.input, &arguments.answer]
            .iter()
            .any(|chosen| chosen.codec == Codec::Json);
        match arguments.schema {
            Some(span) if !has_json => Err(Error::new(
                span,
                "`schema` describes JSON: write `#[view(json, schema)]`",
            )),
            _ => Ok(arguments),
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T, span: Span) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(span, "this is said twice")),
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: Ident = input.parse()?;
        match name.to_string().as_str() {
            "input" => Ok(Self::Input(chosen_after(input)?)),
            "answer" => Ok(Self::Answer(chosen_after(input)?)),
            "schema" => Ok(Self::Schema(name.span())),
            "height_independent" => Ok(Self::HeightIndependent(name.span())),
            _ => Ok(Self::Both(chosen(&name)?)),
        }
    }
}

fn chosen_after(input: ParseStream<'_>) -> Result<Chosen> {
    input.parse::<Token![=]>()?;
    chosen(&input.parse()?)
}

fn chosen(name: &Ident) -> Result<Chosen> {
    let codec = match name.to_string().as_str() {
        "bytes" => Codec::Bytes,
        "json" => Codec::Json,
        "prost" => Codec::Prost,
        _ => {
            return Err(Error::new(
                name.span(),
                "expected `bytes`, `json` or `prost`, one of them after `input =` or \
                 `answer =`, or `schema`, or `height_independent`",
            ));
        }
    };
    Ok(Chosen {
        codec,
        span: name.span(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: std::result::Result<(Codec, Codec, bool), &str>) {
        let arguments = Arguments::parse(text.parse().unwrap());
        let said = arguments.map(|said| {
            let (input, answer) = (said.input.codec, said.answer.codec);
            (input, answer, said.schema.is_some())
        });
        match (said, expect) {
            (Ok(said), Ok(expect)) => assert_eq!(said, expect),
            (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
            (said, _) => panic!("`{text}`: {said:?}"),
        }
    }

    #[test]
    fn codecs_are_chosen_for_both_or_one() {
        use Codec::{Bytes, Json, Prost};
        check("", Ok((Bytes, Bytes, false)));
        check("json", Ok((Json, Json, false)));
        check("prost,", Ok((Prost, Prost, false)));
        check("answer = json", Ok((Bytes, Json, false)));
        check(
            "input = prost, answer = json, schema",
            Ok((Prost, Json, true)),
        );
        check("json, schema", Ok((Json, Json, true)));
    }

    #[test]
    fn independence_of_the_height_is_said_beside_the_codec() {
        for (text, expect) in [
            ("json", false),
            ("height_independent", true),
            ("height_independent, json, schema", true),
        ] {
            let arguments = Arguments::parse(text.parse().unwrap()).unwrap();
            assert_eq!(arguments.height_independent.is_some(), expect, "{text}");
        }
        check("height_independent, height_independent", Err("twice"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check("yaml", Err("expected `bytes`, `json` or `prost`"));
        check("input = yaml", Err("expected `bytes`, `json` or `prost`"));
        check("json, prost", Err("twice"));
        check("json, input = prost", Err("twice"));
        check("schema", Err("`schema` describes JSON"));
        check("prost, schema", Err("`schema` describes JSON"));
        check("input json", Err("expected `=`"));
    }
}
