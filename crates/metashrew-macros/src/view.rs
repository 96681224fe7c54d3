//! `#[view]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, Pat, Result, Signature, Type};

use crate::arguments::{Arguments, Chosen, Codec};
use crate::docs;
use crate::signature::{self, Returned};
use crate::start::{at, export_attributes};

pub(crate) fn expand(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let function: ItemFn = syn::parse2(function)?;
    let signature = &function.sig;
    signature::check(signature, "view")?;
    let symbol = symbol(signature)?;
    let taken = Taken::of(signature)?;
    let returned = Returned::of(signature);
    let visibility = &function.vis;
    let export = format_ident!("__view_{symbol}");
    let body = body(&arguments, signature, &taken, returned);
    let attributes = export_attributes(&symbol);
    let description = description(&arguments, &function, &symbol, &taken, returned);
    let promise = promise(&arguments, &symbol, &taken)?;
    let twin = twin(&arguments, &function, &symbol, &taken, returned);
    Ok(quote! {
        #function

        #attributes
        #visibility extern "C-unwind" fn #export() -> i32 {
            ::metashrew_core::entry::view(
                |__height: u32, __bytes: &[u8]|
                    -> ::core::result::Result<::std::vec::Vec<u8>, ::std::string::String> { #body },
            )
        }

        #description
        #promise
        #twin
    })
}

/// The name a view is exported by.
fn symbol(signature: &Signature) -> Result<String> {
    let symbol = signature.ident.unraw().to_string();
    let reason = match symbol.as_str() {
        "_start" | "memory" | "__meta" => "that export has another meaning",
        name if name.starts_with("__metashrew_") => "that export has another meaning",
        name if name.starts_with("__") => {
            "names with two underscores in front are those of what the attributes make"
        }
        _ => return Ok(symbol),
    };
    let text = format!("a view cannot be called `{symbol}`: {reason}");
    Err(Error::new(signature.ident.span(), text))
}

/// Whether `__NAME` can be nothing else that the attributes make: the export of a view is
/// `__view_…`, that of `#[main]` is `__start_…`, and no view's own name has two underscores in
/// front.
fn has_name_for_twin(symbol: &str) -> bool {
    !symbol.starts_with("view_") && !symbol.starts_with("start_")
}

/// What a view takes.
struct Taken<'a> {
    height: bool,
    input: Option<&'a Type>,
}

impl<'a> Taken<'a> {
    fn of(signature: &'a Signature) -> Result<Self> {
        match signature::parameters(signature)[..] {
            [] => Ok(Self {
                height: false,
                input: None,
            }),
            [(pattern, ty)] if is_lone_height(pattern, ty) => Ok(Self {
                height: true,
                input: None,
            }),
            [(_, ty)] => Ok(Self {
                height: false,
                input: Some(ty),
            }),
            [(_, height), (_, ty)] if signature::is_height(height) => Ok(Self {
                height: true,
                input: Some(ty),
            }),
            [(_, height), _] => Err(Error::new(
                height.span(),
                "of two parameters, the first is the height, a `u32`",
            )),
            _ => Err(Error::new(
                signature.inputs.span(),
                "a view takes the height and one input, at most: put what the caller sends \
                 into a struct",
            )),
        }
    }
}

fn is_lone_height(pattern: &Pat, ty: &Type) -> bool {
    let named = signature::name(pattern).is_some_and(|name| name == "height" || name == "_height");
    named && signature::is_height(ty)
}

/// The closure that decodes, calls and encodes.
fn body(
    arguments: &Arguments,
    signature: &Signature,
    taken: &Taken<'_>,
    returned: Returned<'_>,
) -> TokenStream {
    let name = &signature.ident;
    let by_reference = taken.input.is_some_and(|ty| signature::decoded(ty).1);
    let by_reference = by_reference.then(|| quote!(&));
    let input = taken.input.map(|ty| {
        let (ty, _) = signature::decoded(ty);
        let decoded = decode(&arguments.input, ty);
        let ty = signature::without_lifetimes(ty);
        quote_spanned! {at(ty.span())=> let __input: #ty = #decoded?; }
    });
    let height = taken.height.then(|| quote!(__height,));
    let argument = taken.input.map(|_| quote!(#by_reference __input));
    let call = quote!(#name(#height #argument));
    let answer = match returned {
        Returned::Result(_) => quote_spanned! {at(signature.output.span())=>
            #call.map_err(::metashrew_core::entry::error_text)?
        },
        Returned::Nothing | Returned::Value(_) => call,
    };
    let encoded = encode(&arguments.answer, returned);
    quote! {
        #input
        let __answer = #answer;
        #encoded
    }
}

fn decode(chosen: &Chosen, ty: &Type) -> TokenStream {
    let bad_input = quote!(::metashrew_core::entry::bad_input);
    match chosen.codec {
        Codec::Bytes => quote_spanned! {at(ty.span())=>
            ::metashrew_core::entry::FromInput::from_input(__bytes)
        },
        Codec::Json => quote_spanned! {at(chosen.span)=>
            ::serde_json::from_slice(::metashrew_core::entry::json_input(__bytes))
                .map_err(#bad_input)
        },
        Codec::Prost => quote_spanned! {at(chosen.span)=>
            ::prost::Message::decode(__bytes).map_err(#bad_input)
        },
    }
}

fn encode(chosen: &Chosen, returned: Returned<'_>) -> TokenStream {
    let span = returned.answer().map_or(chosen.span, Spanned::span);
    match chosen.codec {
        Codec::Bytes => quote_spanned! {at(span)=>
            ::core::result::Result::Ok(::metashrew_core::entry::IntoAnswer::into_answer(__answer))
        },
        Codec::Json => quote_spanned! {at(chosen.span)=>
            ::serde_json::to_vec(&__answer).map_err(::metashrew_core::entry::error_text)
        },
        Codec::Prost => quote_spanned! {at(chosen.span)=>
            ::core::result::Result::Ok(::prost::Message::encode_to_vec(&__answer))
        },
    }
}

/// The view's piece of what the guest says of itself.
fn description(
    arguments: &Arguments,
    function: &ItemFn,
    symbol: &str,
    taken: &Taken<'_>,
    returned: Returned<'_>,
) -> TokenStream {
    let attributes = export_attributes(&format!("__metashrew_meta.{symbol}"));
    let doc = docs::of(&function.attrs);
    let nothing = matches!(returned, Returned::Nothing);
    let input_type = told(&arguments.input, taken.input, taken.input.is_none());
    let output_type = told(&arguments.answer, returned.answer(), nothing);
    let input_schema = schema(arguments, &arguments.input, taken.input);
    let output_schema = schema(arguments, &arguments.answer, returned.answer());
    quote! {
        const _: () = {
            #attributes
            extern "C-unwind" fn __describe(_reserved: i32) -> i32 {
                ::metashrew_core::entry::describe_view(
                    #symbol,
                    #doc,
                    [#input_type, #output_type],
                    [#input_schema, #output_schema],
                )
            }
        };
    }
}

/// The export that says that the view's answers do not depend on the height.
fn promise(arguments: &Arguments, symbol: &str, taken: &Taken<'_>) -> Result<Option<TokenStream>> {
    let Some(span) = arguments.height_independent else {
        return Ok(None);
    };
    if taken.height {
        return Err(Error::new(
            span,
            "a view whose answers do not depend on the height does not take it: leave the \
             parameter out",
        ));
    }
    let attributes = export_attributes(&format!("__metashrew_height_independent.{symbol}"));
    Ok(Some(quote! {
        const _: () = {
            #attributes
            extern "C-unwind" fn __height_independent() {}
        };
    }))
}

/// A type as `__meta` tells it.
fn told(chosen: &Chosen, ty: Option<&Type>, is_nothing: bool) -> String {
    let Some(ty) = ty else {
        return if is_nothing { "nothing" } else { "" }.to_owned();
    };
    let (ty, _) = signature::decoded(ty);
    let name = docs::type_name(ty);
    match chosen.codec {
        Codec::Bytes => signature::plain_name(ty).map_or(name, str::to_owned),
        Codec::Json => format!("{name} (JSON)"),
        Codec::Prost => format!("{name} (protobuf)"),
    }
}

/// A schema's text, made by the guest's `schemars` when the guest describes itself.
fn schema(arguments: &Arguments, chosen: &Chosen, ty: Option<&Type>) -> TokenStream {
    match (arguments.schema, ty) {
        (Some(span), Some(ty)) if chosen.codec == Codec::Json => {
            let ty = signature::without_lifetimes(signature::decoded(ty).0);
            quote_spanned! {at(span)=>
                ::serde_json::to_string(&::schemars::schema_for!(#ty)).unwrap_or_default()
            }
        }
        _ => quote!(::std::string::String::new()),
    }
}

/// `__NAME`, by which existing guests' tests call a view from bytes to a result of bytes, if it
/// clashes with nothing.
fn twin(
    arguments: &Arguments,
    function: &ItemFn,
    symbol: &str,
    taken: &Taken<'_>,
    returned: Returned<'_>,
) -> Option<TokenStream> {
    let bytes = [&arguments.input, &arguments.answer]
        .iter()
        .all(|chosen| chosen.codec == Codec::Bytes);
    let from_bytes = taken.input.is_some_and(|ty| docs::type_name(ty) == "&[u8]");
    if !bytes
        || !has_name_for_twin(symbol)
        || taken.height
        || !from_bytes
        || !matches!(returned, Returned::Result(_))
    {
        return None;
    }
    let (visibility, name, output) = (&function.vis, &function.sig.ident, &function.sig.output);
    let twin = format_ident!("__{symbol}");
    Some(quote! {
        #[doc(hidden)]
        #[allow(
            dead_code,
            missing_docs,
            non_snake_case,
            unreachable_pub,
            reason = "tests of existing guests call it"
        )]
        #visibility fn #twin(input: &[u8]) #output {
            #name(input)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &str, function: &str) -> String {
        let expansion = expand(arguments.parse().unwrap(), function.parse().unwrap()).unwrap();
        let file: syn::File = syn::parse2(expansion).unwrap();
        let (kept, function) = (&file.items[0], syn::parse_str::<ItemFn>(function).unwrap());
        assert_eq!(quote!(#kept).to_string(), quote!(#function).to_string());
        quote!(#file).to_string()
    }

    #[track_caller]
    fn refused(arguments: &str, function: &str, expect: &str) {
        let error = expand(arguments.parse().unwrap(), function.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    }

    const BYTES: &str = "pub fn echo(raw: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> { x }";

    #[test]
    fn a_view_of_bytes_has_its_export_its_description_and_its_twin() {
        let text = expanded("", BYTES);
        for part in [
            "export_name = \"echo\"",
            "export_name = \"__metashrew_meta.echo\"",
            "fn __view_echo () -> i32",
            "fn __echo (input : & [u8])",
            "[\"bytes\" , \"bytes\"]",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("serde_json"), "{text}");
    }

    #[test]
    fn what_is_made_of_names_that_begin_alike_has_nothing_in_common() {
        let names = |function: &str| -> Vec<String> {
            let expansion = expand(TokenStream::new(), function.parse().unwrap()).unwrap();
            let file: syn::File = syn::parse2(expansion).unwrap();
            let names = file.items.iter().filter_map(|item| match item {
                syn::Item::Fn(function) => Some(function.sig.ident.to_string()),
                _ => None,
            });
            names.collect()
        };
        let echo = names(BYTES);
        let view_echo = names(&BYTES.replace("echo", "view_echo"));
        assert_eq!(echo, ["echo", "__view_echo", "__echo"]);
        assert_eq!(view_echo, ["view_echo", "__view_view_echo"]);
        let start_echo = names(&BYTES.replace("echo", "start_echo"));
        assert_eq!(start_echo, ["start_echo", "__view_start_echo"]);
    }

    #[test]
    fn codecs_are_those_of_the_guests_own_crates() {
        let text = expanded(
            "json, schema",
            "fn owner(height: u32, q: Q) -> Result<A, E> { x }",
        );
        for part in [
            ":: serde_json :: from_slice",
            ":: serde_json :: to_vec",
            ":: schemars :: schema_for ! (Q)",
            ":: schemars :: schema_for ! (A)",
            "\"Q (JSON)\" , \"A (JSON)\"",
            "owner (__height , __input)",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = expanded("prost", "fn owner(q: proto::Q) -> proto::A { x }");
        for part in [
            ":: prost :: Message :: decode",
            ":: prost :: Message :: encode_to_vec",
            "\"proto::Q (protobuf)\" , \"proto::A (protobuf)\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("fn __owner"), "{text}");
    }

    #[test]
    fn a_view_says_that_the_height_does_not_matter_if_it_does_not_take_it() {
        const EXPORT: &str = "export_name = \"__metashrew_height_independent.echo\"";
        assert!(expanded("height_independent", BYTES).contains(EXPORT));
        assert!(!expanded("", BYTES).contains(EXPORT));
        for parameters in ["height: u32", "_height: u32, raw: &[u8]"] {
            refused(
                "height_independent",
                &format!("fn echo({parameters}) {{}}"),
                "leave the parameter out",
            );
        }
    }

    #[test]
    fn a_lone_height_is_no_input() {
        let text = expanded("", "fn tip(_height: u32) -> String { x }");
        assert!(text.contains("tip (__height ,)"), "{text}");
        assert!(text.contains("[\"nothing\" , \"text\"]"), "{text}");
        let text = expanded("json", "fn nth(number: &u32) -> u32 { x }");
        assert!(text.contains("nth (& __input)"), "{text}");
        assert!(text.contains("[\"u32 (JSON)\" , \"u32 (JSON)\"]"), "{text}");
        let text = expanded("json", "fn nth(number: u32) -> u32 { x }");
        assert!(text.contains("nth (__input)"), "{text}");
        let text = expanded("", "fn ping() {}");
        assert!(text.contains("[\"nothing\" , \"nothing\"]"), "{text}");
    }

    #[test]
    fn what_is_no_view_is_refused() {
        refused("", "fn v(a: &[u8], b: &[u8]) {}", "the first is the height");
        refused("", "fn v(a: u32, b: u8, c: u8) {}", "into a struct");
        refused("", "fn memory() {}", "cannot be called `memory`");
        refused("", "fn __metashrew_begin() {}", "another meaning");
        refused("", "fn __echo() {}", "what the attributes make");
        refused("", "async fn v() {}", "not an `async` one");
        refused("", "fn v<T>(input: T) {}", "not a generic one");
        refused("", "fn v(input: impl AsRef<[u8]>) {}", "not a generic one");
        refused("yaml", BYTES, "expected `bytes`, `json` or `prost`");
    }
}
