//! `#[main]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, Result};

use crate::docs;
use crate::signature::{self, Returned};

pub(crate) fn expand(arguments: &TokenStream, function: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new(arguments.span(), "`#[main]` takes no arguments"));
    }
    let function: ItemFn = syn::parse2(function)?;
    let signature = &function.sig;
    signature::check(signature, "main")?;
    let [(_, height), (_, block)] = signature::parameters(signature)[..] else {
        return Err(Error::new(
            signature.span(),
            "`#[main]` stands before a function of two parameters, height and block: \
             `fn index(height: u32, block: &[u8])`",
        ));
    };
    if !signature::is_height(height) {
        return Err(Error::new(height.span(), "the height is a `u32`"));
    }
    let name = &signature.ident;
    let (block, by_reference) = signature::decoded(block);
    let by_reference = by_reference.then(|| quote!(&));
    let answered = match Returned::of(signature) {
        Returned::Nothing => quote!({
            #name(__height, #by_reference __block);
            ::core::result::Result::Ok(())
        }),
        Returned::Result(_) => quote_spanned! {at(signature.output.span())=>
            #name(__height, #by_reference __block).map_err(::metashrew_core::entry::error_text)
        },
        Returned::Value(ty) => {
            return Err(Error::new(
                ty.span(),
                "`#[main]` stands before a function that returns nothing or a `Result<(), E>`",
            ));
        }
    };
    let export = format_ident!("__start_{}", name.unraw());
    let visibility = &function.vis;
    let decoded = quote_spanned!(at(block.span())=> ::metashrew_core::entry::FromBlock::from_block);
    let block = signature::without_lifetimes(block);
    let doc = docs::of(&function.attrs);
    let attributes = export_attributes("_start");
    let meta_attributes = export_attributes("__meta");
    Ok(quote! {
        #function

        #attributes
        #visibility extern "C-unwind" fn #export() {
            ::metashrew_core::entry::start(
                |__height: u32, __bytes: &[u8]| -> ::core::result::Result<(), ::std::string::String> {
                    let __block: #block = #decoded(__bytes)?;
                    #answered
                },
            );
        }

        const _: () = {
            #meta_attributes
            extern "C-unwind" fn __meta() -> i32 {
                ::metashrew_core::entry::describe_guest(
                    ::core::option_env!("CARGO_PKG_NAME").unwrap_or_default(),
                    ::core::option_env!("CARGO_PKG_VERSION").unwrap_or_default(),
                    #doc,
                )
            }
        };
    })
}

/// A place in the author's code, for errors; names mean what they mean in the expansion.
pub(crate) fn at(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}

/// What stands before a function that is exported under a name: in wasm, and not in a test
/// build, which has the crate's exports from the library already.
pub(crate) fn export_attributes(symbol: &str) -> TokenStream {
    quote! {
        #[cfg_attr(
            all(target_arch = "wasm32", not(test)),
            unsafe(export_name = #symbol)
        )]
        #[doc(hidden)]
        #[allow(
            dead_code,
            missing_docs,
            non_snake_case,
            unreachable_pub,
            unsafe_code,
            reason = "the host calls it by its symbol"
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(function: &str, expect: &str) {
        let error = expand(&TokenStream::new(), function.parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    }

    #[test]
    fn the_function_stays_and_is_exported() {
        let function = "/// Counts.\npub fn index(height: u32, block: &[u8]) -> Result<(), E> {}";
        let expansion = expand(&TokenStream::new(), function.parse().unwrap()).unwrap();
        let file: syn::File = syn::parse2(expansion).unwrap();
        let [
            syn::Item::Fn(kept),
            syn::Item::Fn(export),
            syn::Item::Const(meta),
        ] = &file.items[..]
        else {
            panic!("{}", quote!(#file));
        };
        let function: ItemFn = syn::parse_str(function).unwrap();
        assert_eq!(quote!(#kept).to_string(), quote!(#function).to_string());
        assert_eq!(export.sig.ident, "__start_index");
        assert!(quote!(#export).to_string().contains("\"_start\""));
        assert!(quote!(#meta).to_string().contains("\"Counts.\""));
    }

    #[test]
    fn what_is_no_main_is_refused() {
        refused("fn index(height: u32) {}", "two parameters");
        refused("fn index(height: u64, block: &[u8]) {}", "a `u32`");
        refused(
            "fn index(height: u32, block: &[u8]) -> u8 {}",
            "returns nothing",
        );
        refused(
            "async fn index(height: u32, block: &[u8]) {}",
            "not an `async` one",
        );
        refused("fn index<T>(height: u32, block: T) {}", "not a generic one");
        refused("fn index(&self, block: &[u8]) {}", "not a method");
        refused("extern \"C\" fn _start() {}", "an ABI of its own");
        refused("struct Index;", "expected `fn`");
        let error = expand(
            &quote!(json),
            quote!(
                fn index(height: u32, block: &[u8]) {}
            ),
        );
        assert!(error.unwrap_err().to_string().contains("no arguments"));
    }
}
