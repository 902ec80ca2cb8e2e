//! An upload in parts, as S3 keeps it: begun, found again, added to, completed, aborted.

use std::time::SystemTime;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, MultipartUpload, Part};
use bytes::Bytes;
use md5::{Digest, Md5};

use super::error::{Effect, Refusal};
use super::read::time;
use super::store::{Store, describe};
use crate::contract::{Error, ErrorKind, Result, StoragePath};

/// The most parts of an upload.
const MAX_PARTS: usize = 10_000;

/// An upload that S3 knows of.
#[derive(Debug)]
pub(super) struct Multipart {
    path: StoragePath,
    key: String,
    id: String,
    /// In order, and as S3 wants them for the completion.
    parts: Vec<StoredPart>,
    checksum: Option<ChecksumAlgorithm>,
    /// When this was begun or found: the object that it becomes is not older.
    since: SystemTime,
}

#[derive(Debug)]
struct StoredPart {
    size: u64,
    completed: CompletedPart,
}

/// What becomes of other uploads of a key that have parts, when one is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// They are aborted: they were there when this writer was opened.
    Abort,
    /// They are kept: this writer aborted all when it was opened, so they are newer.
    Keep,
}

/// An upload that is listed.
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) initiated: Option<SystemTime>,
}

impl Multipart {
    /// Returns how many bytes S3 has.
    pub(super) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// Returns the size of the last part; none if there is none.
    pub(super) fn last_part(&self) -> Option<u64> {
        self.parts.last().map(|part| part.size)
    }

    pub(super) fn next_number(&self) -> Result<i32> {
        if self.parts.len() >= MAX_PARTS {
            let message = format!("an upload has at most {MAX_PARTS} parts; raise `chunksize` and begin it anew");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(self.parts.last().and_then(|part| part.completed.part_number).unwrap_or(0) + 1)
    }

    /// Takes up parts that were copied, in order.
    pub(super) fn adopt(&mut self, parts: impl IntoIterator<Item = (u64, CompletedPart)>) {
        self.parts.extend(parts.into_iter().map(|(size, completed)| StoredPart { size, completed }));
    }

    /// Returns the ETag that the object will have: the MD5 of the parts' own, and their number. None if theirs are not
    /// MD5 sums, as with some kinds of encryption.
    fn expected_etag(&self) -> Option<String> {
        let mut md5 = Md5::new();
        for part in &self.parts {
            let text = part.completed.e_tag()?.trim_matches('"');
            if text.len() != 32 {
                return None;
            }
            for at in (0..32).step_by(2) {
                md5.update([u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?]);
            }
        }
        let hex: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("{hex}-{}", self.parts.len()))
    }
}

impl Store {
    /// Begins an upload: two requests.
    ///
    /// A request that arrives twice, or whose answer is lost, leaves an upload that nobody knows of, and which Distribution
    /// would take for this one if it is listed first. So any other upload of the key is aborted; but one that has parts only
    /// if `with_parts` says so. Otherwise this one is aborted, and the answer is a conflict.
    pub(super) async fn begin(&self, path: &StoragePath, with_parts: Others) -> Result<Multipart> {
        let key = self.keys.key(path);
        let since = SystemTime::now();
        let request = || {
            let begin = self.client.create_multipart_upload().bucket(self.bucket()).key(&key);
            describe!(begin, self.object).set_checksum_algorithm(self.object.upload_checksum.clone()).send()
        };
        let answer = self.send(Effect::Writes, 0, request).await?.map_err(Error::from)?;
        let Some(id) = answer.upload_id else {
            return Err(Error::new(ErrorKind::Other, "the store began an upload and gave it no id"));
        };
        for other in self.uploads_of(&key).await?.into_iter().filter(|other| other.id != id) {
            if with_parts == Others::Keep
                && self.parts(&key, &other.id).await?.is_some_and(|(parts, _)| !parts.is_empty())
            {
                self.abort(&key, &id).await?;
                let message = "somebody else began an upload at the path while this one was open";
                return Err(Error::new(ErrorKind::Conflict, message).with_path(path));
            }
            self.abort(&key, &other.id).await?;
        }
        Ok(Multipart {
            path: path.clone(),
            key,
            id,
            parts: Vec::new(),
            checksum: self.object.upload_checksum.clone(),
            since,
        })
    }

    /// Finds the upload of a path, with its parts. Of several, which only lost answers or another client leave, the one
    /// with most bytes; Distribution takes the first that is listed.
    pub(super) async fn find(&self, path: &StoragePath) -> Result<Option<Multipart>> {
        let key = self.keys.key(path);
        let since = SystemTime::now();
        let mut found: Option<Multipart> = None;
        for upload in self.uploads_of(&key).await? {
            let Some((parts, checksum)) = self.parts(&key, &upload.id).await? else { continue };
            let upload = Multipart { path: path.clone(), key: key.clone(), id: upload.id, parts, checksum, since };
            if found.as_ref().is_none_or(|other| other.size() < upload.size()) {
                found = Some(upload);
            }
        }
        Ok(found)
    }

    /// Aborts every upload of a path, since the next one to continue is the first that is listed.
    pub(super) async fn abort_all(&self, path: &StoragePath) -> Result<()> {
        let key = self.keys.key(path);
        for upload in self.uploads_of(&key).await? {
            self.abort(&key, &upload.id).await?;
        }
        Ok(())
    }

    async fn uploads_of(&self, key: &str) -> Result<Vec<Listed>> {
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            let (page, next) = self.uploads_page(key, marker).await?;
            // The key itself sorts before all that it prefixes; only a store with another order goes on after it.
            let is_past = !self.is_tree_order && page.last().is_some_and(|last| last.key != key);
            found.extend(page.into_iter().filter(|upload| upload.key == key));
            match next {
                Some(next) if !is_past => marker = Some(next),
                _ => return Ok(found),
            }
        }
    }

    /// Lists a page of the uploads whose keys begin with `prefix`, and where the next begins: after a key and an id.
    pub(super) async fn uploads_page(
        &self,
        prefix: &str,
        marker: Option<(String, String)>,
    ) -> Result<(Vec<Listed>, Option<(String, String)>)> {
        let request = || {
            let request = self.client.list_multipart_uploads().bucket(self.bucket()).prefix(prefix);
            // S3 heeds the second only beside the first.
            let (key, id) = marker.clone().unzip();
            request.set_key_marker(key).set_upload_id_marker(id).send()
        };
        let answer = self.send(Effect::Reads, 0, request).await?.map_err(Error::from)?;
        let listed = |upload: &MultipartUpload| {
            let initiated = upload.initiated().and_then(time);
            Some(Listed { key: upload.key()?.to_owned(), id: upload.upload_id()?.to_owned(), initiated })
        };
        let page: Vec<Listed> = answer.uploads().iter().filter_map(listed).collect();
        let next = match (answer.is_truncated, answer.next_key_marker, answer.next_upload_id_marker) {
            (Some(true), Some(key), Some(id)) if !key.is_empty() => Some((key, id)),
            // SeaweedFS names no place to go on at; its last upload is one.
            (Some(true), _, _) => match page.last() {
                Some(last) => Some((last.key.clone(), last.id.clone())),
                None => {
                    let message = "the store says that there are more uploads, and lists none";
                    return Err(Error::new(ErrorKind::Other, message));
                }
            },
            _ => None,
        };
        if next.is_some() && next == marker {
            return Err(Error::new(ErrorKind::Other, "the store lists the same page of uploads again and again"));
        }
        Ok((page, next))
    }

    /// Returns an upload's parts in order, and which checksums they have; none if the upload is gone.
    async fn parts(&self, key: &str, id: &str) -> Result<Option<(Vec<StoredPart>, Option<ChecksumAlgorithm>)>> {
        let mut parts: Vec<StoredPart> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let request = || {
                let request = self.client.list_parts().bucket(self.bucket()).key(key).upload_id(id);
                request.set_part_number_marker(marker.clone()).send()
            };
            let answer = match self.send(Effect::Reads, 0, request).await? {
                Ok(answer) => answer,
                Err(refusal) if refusal.is_no_upload() => return Ok(None),
                Err(refusal) => return Err(refusal.into()),
            };
            for part in answer.parts() {
                parts.push(stored_part(part)?);
            }
            if answer.is_truncated != Some(true) {
                parts.sort_by_key(|part| part.completed.part_number);
                return Ok(Some((parts, answer.checksum_algorithm)));
            }
            let next = parts.last().and_then(|part| part.completed.part_number).map(|number| number.to_string());
            // What is not listed would be cut off.
            if next == marker {
                return Err(Error::new(ErrorKind::Other, "the store says that there are more parts, and lists none"));
            }
            marker = next;
        }
    }

    /// Adds a part: one request. Sent twice, it is stored once, since it has a number.
    pub(super) async fn add_part(&self, upload: &mut Multipart, content: Bytes) -> Result<()> {
        let number = upload.next_number()?;
        let size = content.len() as u64;
        // On the way to a store of one's own each part has one, whatever the upload has as a whole.
        let checksum = if self.config.is_own_store() { &self.object.checksum } else { &upload.checksum };
        let request = || {
            let part = self.client_for(checksum).upload_part().bucket(self.bucket()).key(&upload.key);
            let part = part.upload_id(&upload.id).part_number(number).set_checksum_algorithm(checksum.clone());
            part.body(content.clone().into()).send()
        };
        let answer = self.send(Effect::Writes, size, request).await?.map_err(gone)?;
        let mut completed = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
        if upload.checksum.is_some() {
            completed = completed
                .set_checksum_crc32(answer.checksum_crc32)
                .set_checksum_crc32_c(answer.checksum_crc32_c)
                .set_checksum_sha256(answer.checksum_sha256);
        }
        upload.parts.push(StoredPart { size, completed: completed.build() });
        Ok(())
    }

    /// Adds a range of an object as a part, within the store: one request.
    pub(super) async fn copy_part(
        &self,
        upload: &Multipart,
        number: i32,
        source: &str,
        version: Option<&str>,
        first: u64,
        size: u64,
    ) -> Result<CompletedPart> {
        let range = format!("bytes={first}-{}", first + size - 1);
        let request = || {
            self.client
                .upload_part_copy()
                .bucket(self.bucket())
                .key(&upload.key)
                .upload_id(&upload.id)
                .part_number(number)
                .copy_source(source)
                .copy_source_range(&range)
                .set_copy_source_if_match(version.map(str::to_owned))
                .send()
        };
        let answer = self.send(Effect::Writes, size, request).await?.map_err(gone)?;
        let result = answer.copy_part_result.unwrap_or_else(|| aws_sdk_s3::types::CopyPartResult::builder().build());
        let part = CompletedPart::builder().part_number(number);
        Ok(part
            .set_e_tag(result.e_tag)
            .set_checksum_crc32(result.checksum_crc32)
            .set_checksum_crc32_c(result.checksum_crc32_c)
            .set_checksum_sha256(result.checksum_sha256)
            .build())
    }

    /// Makes an upload the object: one request while no answer is lost.
    ///
    /// An answer that is lost is looked for: when the upload is gone, the object tells by its ETag whether it is what was
    /// uploaded. An upload that could not be completed is never aborted: it can be continued.
    pub(super) async fn complete(&self, upload: &mut Multipart) -> Result<u64> {
        if upload.parts.is_empty() {
            // S3 completes no upload without parts.
            self.add_part(upload, Bytes::new()).await?;
        }
        let size = upload.size();
        let parts: Vec<CompletedPart> = upload.parts.iter().map(|part| part.completed.clone()).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = || {
            let request = self.client.complete_multipart_upload().bucket(self.bucket()).key(&upload.key);
            request.upload_id(&upload.id).multipart_upload(parts.clone()).send()
        };
        let error = match self.send(Effect::Writes, size / 64, request).await {
            Ok(Ok(_)) => return Ok(size),
            Ok(Err(refusal)) if refusal.is_no_upload() => gone(refusal),
            Ok(Err(refusal)) => return Err(refusal.into()),
            Err(error) if *error.kind() == ErrorKind::OutcomeUnknown => error,
            Err(error) => return Err(error),
        };
        match self.is_completed(upload, size).await {
            Ok(true) => Ok(size),
            _ => Err(error),
        }
    }

    /// Returns whether the object at the upload's key is what it was to become.
    async fn is_completed(&self, upload: &Multipart, size: u64) -> Result<bool> {
        let Some(info) = self.stat_file(&upload.path).await? else { return Ok(false) };
        if info.size != size {
            return Ok(false);
        }
        let Some(version) = info.version else { return Ok(false) };
        if upload.expected_etag().is_some_and(|etag| etag == version) {
            return Ok(true);
        }
        // Not every store makes the ETag as Amazon does. One of so many parts, and not older than this upload's
        // beginning, is this upload all the same. The store's clock may be behind.
        let slack = std::time::Duration::from_secs(2);
        let is_new = info.modified.is_some_and(|modified| modified + slack >= upload.since);
        Ok(is_new && version.ends_with(&format!("-{}", upload.parts.len())))
    }

    /// Throws an upload away, with what it has: one request. One that is gone is no error.
    pub(super) async fn abort(&self, key: &str, id: &str) -> Result<()> {
        let request = || self.client.abort_multipart_upload().bucket(self.bucket()).key(key).upload_id(id).send();
        match self.send(Effect::Writes, 0, request).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_no_upload() => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// The same, of an upload that is known.
    pub(super) async fn abort_upload(&self, upload: &Multipart) -> Result<()> {
        self.abort(&upload.key, &upload.id).await
    }

    /// The same, where an error is on its way already that says more.
    pub(super) async fn abort_quietly(&self, upload: &Multipart) {
        if let Err(error) = self.abort_upload(upload).await {
            tracing::warn!(path = %upload.path, %error, "could not abort an upload that failed; `wharf uploads` lists it");
        }
    }
}

/// An upload that is gone is somebody else's doing, whatever the store calls it.
fn gone(refusal: Refusal) -> Error {
    if refusal.is_no_upload() {
        let message = "the upload is gone: somebody else completed or aborted it, or began another at this path";
        return Error::new(ErrorKind::Conflict, message);
    }
    refusal.into()
}

/// Takes a part as the store lists it. One without a number or a size would be taken for none, and its bytes be lost.
fn stored_part(part: &Part) -> Result<StoredPart> {
    let size = part.size().and_then(|size| u64::try_from(size).ok());
    let (Some(_), Some(size)) = (part.part_number, size) else {
        let message =
            "the store lists a part of an upload without its number or its size; the upload cannot be continued";
        return Err(Error::new(ErrorKind::Other, message));
    };
    let completed = CompletedPart::builder()
        .set_part_number(part.part_number)
        .set_e_tag(part.e_tag.clone())
        .set_checksum_crc32(part.checksum_crc32.clone())
        .set_checksum_crc32_c(part.checksum_crc32_c.clone())
        .set_checksum_sha256(part.checksum_sha256.clone())
        .build();
    Ok(StoredPart { size, completed })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_a_size_or_a_number_is_no_part_of_no_bytes() {
        let part = |number, size| Part::builder().set_part_number(number).set_size(size).build();
        assert_eq!(stored_part(&part(Some(1), Some(7))).unwrap().size, 7);
        for wrong in [part(Some(1), None), part(None, Some(7)), part(Some(1), Some(-1))] {
            assert!(stored_part(&wrong).is_err(), "{wrong:?}");
        }
    }
}
