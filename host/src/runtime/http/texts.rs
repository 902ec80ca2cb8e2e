//! How long the texts of a request may be: each is kept by the host as long as the component keeps the request.
//!
//! wasmtime's own functions take a method and an authority of any length. These take their place.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::http::types::{HostRequest, Method, Scheme};

use super::super::state::State;
use super::TYPES;

/// The longest method, in bytes. The longest that is registered has 17.
const METHOD: usize = 64;

/// The longest scheme. Only two are ever sent.
const SCHEME: usize = 64;

/// The longest authority: a name has at most 253 bytes.
const AUTHORITY: usize = 1024;

/// The longest path with its query: servers take no more.
const PATH: usize = 8 * 1024;

/// What the guest is told of whether it was taken.
type Taken = wasmtime::Result<(Result<(), ()>,)>;

/// Replaces the functions in a linker that has wasmtime's own.
pub(super) fn shadow(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("[method]request.set-method", set_method)?;
    types.func_wrap("[method]request.set-scheme", set_scheme)?;
    types.func_wrap("[method]request.set-authority", set_authority)?;
    types.func_wrap("[method]request.set-path-with-query", set_path)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn set_method(mut store: StoreContextMut<'_, State>, (request, method): (Resource<Request>, Method)) -> Taken {
    if matches!(&method, Method::Other(name) if name.len() > METHOD) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_method(request, method)?,))
}

fn set_scheme(mut store: StoreContextMut<'_, State>, (request, scheme): (Resource<Request>, Option<Scheme>)) -> Taken {
    if matches!(&scheme, Some(Scheme::Other(name)) if name.len() > SCHEME) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_scheme(request, scheme)?,))
}

fn set_authority(
    mut store: StoreContextMut<'_, State>,
    (request, authority): (Resource<Request>, Option<String>),
) -> Taken {
    if authority.as_ref().is_some_and(|authority| authority.len() > AUTHORITY) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_authority(request, authority)?,))
}

fn set_path(mut store: StoreContextMut<'_, State>, (request, path): (Resource<Request>, Option<String>)) -> Taken {
    if path.as_ref().is_some_and(|path| path.len() > PATH) {
        return Ok((Err(()),));
    }
    Ok((store.data_mut().http().set_path_with_query(request, path)?,))
}
