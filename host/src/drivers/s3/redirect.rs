//! Addresses at which clients fetch an object by themselves.

use aws_sdk_s3::presigning::PresigningConfig;
use futures::FutureExt;

use super::error::root_cause;
use super::store::Store;
use crate::contract::{Error, ErrorKind, RedirectRequest, Result, StoragePath};

impl Store {
    /// Signs an address for one method: no request. The signature covers the method and the endpoint's name, so that
    /// each is signed by itself.
    pub(super) async fn redirect_url(&self, path: &StoragePath, request: &RedirectRequest) -> Result<Option<String>> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Error::new(ErrorKind::Other, format!("the address could not be signed: {}", root_cause(error)))
        };
        let presigning = PresigningConfig::expires_in(self.config.redirectexpiry).map_err(|error| failed(&error))?;
        let key = self.keys.key(path);
        let presigned = match &*request.method {
            "GET" => {
                let get = self.public.get_object().bucket(self.bucket()).key(key);
                get.presigned(presigning).boxed().await.map_err(|error| failed(&error))?
            }
            "HEAD" => {
                let head = self.public.head_object().bucket(self.bucket()).key(key);
                head.presigned(presigning).boxed().await.map_err(|error| failed(&error))?
            }
            _ => return Ok(None),
        };
        Ok(Some(presigned.uri().to_owned()))
    }
}
