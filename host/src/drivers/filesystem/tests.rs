//! What the conformance suite cannot see: the disk beneath the driver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use futures::TryStreamExt;
use tempfile::TempDir;

use super::*;
use crate::contract::{Entry, StorageDriverExt};

async fn driver() -> (Filesystem, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = FilesystemConfig { root_directory: directory.path().join("root"), ..FilesystemConfig::default() };
    (Filesystem::open(config).await.unwrap(), directory)
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

async fn put(driver: &Filesystem, file: &str) {
    driver.put_content(&path(file), Bytes::from_static(b"content")).await.unwrap();
}

async fn names(driver: &Filesystem, directory: &str) -> Vec<String> {
    let entries: Vec<Entry> = driver.list(&path(directory), None).await.unwrap().try_collect().await.unwrap();
    entries.into_iter().map(|entry| entry.path.to_string()).collect()
}

#[tokio::test]
async fn no_symbolic_link_leads_out_of_the_root() {
    let (driver, directory) = driver().await;
    put(&driver, "/inside").await;
    let root = directory.path().join("root");
    fs::write(directory.path().join("secret"), "secret").unwrap();
    symlink("../secret", root.join("file")).unwrap();
    symlink(directory.path(), root.join("outside")).unwrap();

    for file in ["/file", "/outside/secret"] {
        let file = path(file);
        assert_eq!(driver.get_content(&file).await.unwrap_err().kind(), &ErrorKind::AccessDenied);
        assert!(driver.reader(&file, ByteRange::ALL).await.is_err());
        assert!(driver.stat(&file).await.is_err());
        assert!(driver.writer(&file, WriteMode::Append).await.is_err());
    }
    assert!(driver.put_content(&path("/outside/new"), Bytes::from_static(b"x")).await.is_err());
    assert!(driver.move_file(&path("/inside"), &path("/outside/moved")).await.is_err());
    // What has the name of a link is the link: it is replaced and deleted, and not what it leads to.
    put(&driver, "/file").await;
    driver.delete(&path("/outside")).await.unwrap();
    assert_eq!(fs::read(directory.path().join("secret")).unwrap(), b"secret");
    assert_eq!(names(&driver, "/").await, ["/file", "/inside"]);
}

#[tokio::test]
async fn links_within_the_root_are_followed_and_not_deleted_through() {
    let (driver, directory) = driver().await;
    put(&driver, "/real/file").await;
    symlink("real", directory.path().join("root/link")).unwrap();
    assert_eq!(&driver.get_content(&path("/link/file")).await.unwrap()[..], b"content");
    driver.delete(&path("/link")).await.unwrap();
    assert_eq!(&driver.get_content(&path("/real/file")).await.unwrap()[..], b"content");
}

#[tokio::test]
async fn a_temporary_that_a_crash_left_is_hidden_and_goes_with_its_directory() {
    let (driver, directory) = driver().await;
    put(&driver, "/a/file").await;
    fs::write(directory.path().join("root/a/~wharf-0123456789abcdef.tmp"), "half").unwrap();
    assert_eq!(names(&driver, "/a").await, ["/a/file"]);
    driver.delete(&path("/a")).await.unwrap();
    assert!(!directory.path().join("root/a").exists());
}

#[tokio::test]
async fn an_upload_in_progress_is_a_temporary_and_none_is_left_of_it() {
    let (driver, directory) = driver().await;
    put(&driver, "/a/file").await;
    let on_disk = || fs::read_dir(directory.path().join("root/a")).unwrap().count();
    let mut writer = driver.writer(&path("/a/file"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from(vec![1; 1_000_000])).await.unwrap();
    assert_eq!(on_disk(), 2);
    assert_eq!(names(&driver, "/a").await, ["/a/file"]);
    writer.cancel().await.unwrap();
    assert_eq!(on_disk(), 1);
    assert_eq!(&driver.get_content(&path("/a/file")).await.unwrap()[..], b"content");
}

#[tokio::test]
async fn an_upload_that_distribution_left_at_its_path_is_continued() {
    let (driver, directory) = driver().await;
    put(&driver, "/other").await;
    let upload = "/docker/registry/v2/repositories/a/_uploads/0b1c/data";
    let on_disk = directory.path().join("root").join(&upload[1..]);
    fs::create_dir_all(on_disk.parent().unwrap()).unwrap();
    fs::write(&on_disk, "half,").unwrap();
    let mut writer = driver.writer(&path(upload), WriteMode::Append).await.unwrap();
    assert_eq!(writer.size(), 5);
    writer.write(Bytes::from_static(b"whole")).await.unwrap();
    assert_eq!(writer.close().await.unwrap(), 10);
    assert_eq!(fs::read(&on_disk).unwrap(), b"half,whole");
}

#[tokio::test]
async fn an_upload_whose_directory_was_deleted_is_not_acknowledged() {
    let (driver, directory) = driver().await;
    let mut writer = driver.writer(&path("/a/file"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    fs::remove_dir_all(directory.path().join("root/a")).unwrap();
    assert_eq!(Box::new(writer).commit().await.unwrap_err().kind(), &ErrorKind::Conflict);

    put(&driver, "/b/file").await;
    let mut writer = driver.writer(&path("/b/file"), WriteMode::Append).await.unwrap();
    writer.write(Bytes::from_static(b"more")).await.unwrap();
    driver.delete(&path("/b")).await.unwrap();
    assert_eq!(writer.commit().await.unwrap_err().kind(), &ErrorKind::Conflict);
}

#[tokio::test]
async fn an_upload_is_continued_by_one_writer_at_a_time_and_moved_by_nobody_meanwhile() {
    let (driver, directory) = driver().await;
    // As another process would open it.
    let config = FilesystemConfig { root_directory: directory.path().join("root"), ..FilesystemConfig::default() };
    let other = Filesystem::open(config).await.unwrap();
    put(&driver, "/file").await;
    let mut one = driver.writer(&path("/file"), WriteMode::Append).await.unwrap();
    let Err(two) = other.writer(&path("/file"), WriteMode::Append).await else { panic!("two writers continue it") };
    assert_eq!(two.kind(), &ErrorKind::Conflict);
    let moved = other.move_file(&path("/file"), &path("/moved")).await.unwrap_err();
    assert_eq!(moved.kind(), &ErrorKind::Conflict);
    one.write(Bytes::from_static(b"one")).await.unwrap();
    let size = one.commit().await.unwrap();
    other.move_file(&path("/file"), &path("/moved")).await.unwrap();
    assert_eq!(other.stat(&path("/moved")).await.unwrap().size, size);
}

#[tokio::test]
async fn a_named_pipe_is_not_there_and_nobody_waits_for_it() {
    let (driver, directory) = driver().await;
    put(&driver, "/file").await;
    let pipe = directory.path().join("root/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = path("/pipe");
    assert!(driver.reader(&pipe, ByteRange::ALL).await.unwrap_err().is_path_not_found());
    assert!(driver.get_content(&pipe).await.unwrap_err().is_path_not_found());
    assert!(driver.stat(&pipe).await.unwrap_err().is_path_not_found());
    assert!(driver.writer(&pipe, WriteMode::Append).await.is_err());
    assert_eq!(names(&driver, "/").await, ["/file"]);
}

#[tokio::test]
async fn files_have_the_mode_that_distributions_have() {
    let (driver, directory) = driver().await;
    put(&driver, "/a/file").await;
    let expected = directory.path().join("expected");
    fs::create_dir(&expected).unwrap();
    fs::write(expected.join("file"), "").unwrap();
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(directory.path().join("root/a")), mode(expected.clone()));
    assert_eq!(mode(directory.path().join("root/a/file")), mode(expected.join("file")));
}

#[tokio::test]
async fn puts_beside_a_delete_of_their_directory_are_there_or_deleted_and_never_lost_half() {
    let (driver, _directory) = driver().await;
    for round in 0..50 {
        let puts = (0..8).map(|index| {
            let (driver, file) = (driver.clone(), path(&format!("/d/e/{index}")));
            async move { driver.put_content(&file, Bytes::from(vec![index as u8; 5000])).await }
        });
        let above = path("/d");
        let (stored, deleted) = futures::join!(futures::future::join_all(puts), driver.delete(&above));
        stored.into_iter().collect::<Result<Vec<()>>>().unwrap_or_else(|error| panic!("round {round}: {error}"));
        deleted.or_else(|error| if error.is_path_not_found() { Ok(()) } else { Err(error) }).unwrap();
        for entry in driver.list_all(&path("/d/e")).await.unwrap_or_default() {
            let content = driver.get_content(&entry.path).await.unwrap();
            assert!(content.len() == 5000 && content.iter().all(|byte| *byte == content[0]));
        }
    }
}

#[tokio::test]
async fn a_root_that_is_a_file_is_refused_when_the_driver_is_opened() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = FilesystemConfig { root_directory: file.path().to_owned(), ..FilesystemConfig::default() };
    assert_eq!(Filesystem::open(config).await.unwrap_err().kind(), &ErrorKind::InvalidParameters);
}

#[tokio::test]
async fn the_root_is_an_empty_directory_before_anything_is_stored() {
    let (driver, directory) = driver().await;
    assert!(driver.stat(&StoragePath::root()).await.unwrap().is_dir);
    assert_eq!(names(&driver, "/").await, Vec::<String>::new());
    assert!(!directory.path().join("root").exists(), "a look made the root");
}

/// Returns the names of temporaries in a directory of the root, once what goes on in the background has ended.
async fn temporaries(directory: &std::path::Path) -> Vec<String> {
    let left = || {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('~')).collect::<Vec<_>>()
    };
    for _ in 0..200 {
        if left().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    left()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_upload_never_replaces_what_was_committed_since() {
    let (driver, directory) = driver().await;
    for round in 0..100 {
        let file = path(&format!("/d/file{round}"));
        let mut dropped = driver.writer(&file, WriteMode::New).await.unwrap();
        dropped.write(Bytes::from(vec![1; 100_000])).await.unwrap();
        drop(dropped);
        let mut writer = driver.writer(&file, WriteMode::New).await.unwrap();
        writer.write(Bytes::from_static(b"four")).await.unwrap();
        writer.commit().await.unwrap();
    }
    assert_eq!(temporaries(&directory.path().join("root/d")).await, Vec::<String>::new());
    for round in 0..100 {
        assert_eq!(driver.get_content(&path(&format!("/d/file{round}"))).await.unwrap(), "four", "round {round}");
    }
}

#[tokio::test]
async fn a_close_replaces_nothing_that_came_while_the_upload_was_open_and_a_commit_does() {
    let (driver, directory) = driver().await;
    // As another process would open it.
    let config = FilesystemConfig { root_directory: directory.path().join("root"), ..FilesystemConfig::default() };
    let other = Filesystem::open(config).await.unwrap();
    for was_there in [false, true] {
        let file = path(&format!("/{was_there}"));
        if was_there {
            put(&driver, file.as_str()).await;
        }
        let mut late = driver.writer(&file, WriteMode::New).await.unwrap();
        let mut latest = driver.writer(&file, WriteMode::New).await.unwrap();
        late.write(Bytes::from_static(b"late")).await.unwrap();
        latest.write(Bytes::from_static(b"latest")).await.unwrap();
        other.put_content(&file, Bytes::from_static(b"new")).await.unwrap();
        assert_eq!(late.close().await.unwrap_err().kind(), &ErrorKind::Conflict);
        assert_eq!(driver.get_content(&file).await.unwrap(), "new");
        latest.commit().await.unwrap();
        assert_eq!(driver.get_content(&file).await.unwrap(), "latest");
    }
    assert_eq!(temporaries(&directory.path().join("root")).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_continued_upload_that_is_dropped_keeps_its_complete_writes_and_frees_its_lock() {
    let (driver, _directory) = driver().await;
    put(&driver, "/file").await;
    let before = driver.stat(&path("/file")).await.unwrap().size;
    for round in 1..=20 {
        let mut writer = driver.writer(&path("/file"), WriteMode::Append).await.unwrap();
        assert_eq!(writer.size(), before + (round - 1) * 300_000);
        writer.write(Bytes::from(vec![round as u8; 300_000])).await.unwrap();
        drop(writer);
    }
    driver.move_file(&path("/file"), &path("/moved")).await.unwrap();
    assert_eq!(driver.stat(&path("/moved")).await.unwrap().size, before + 20 * 300_000);
}

/// A driver on a file system that answers a sync of a directory so.
async fn driver_that_syncs_by(fsync: fn(&cap_std::fs::Dir) -> rustix::io::Result<()>) -> (Filesystem, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = FilesystemConfig { root_directory: directory.path().join("root"), ..FilesystemConfig::default() };
    (Filesystem::open_with(config, DirectorySync::by(fsync)).await.unwrap(), directory)
}

#[tokio::test]
async fn a_file_system_that_syncs_no_directory_stores_and_is_not_called_durable() {
    for fsync in [|_: &_| Err(rustix::io::Errno::INVAL), |_: &_| Err(rustix::io::Errno::NOTSUP)] {
        let (driver, _directory) = driver_that_syncs_by(fsync).await;
        assert!(!driver.capabilities().durable);
        put(&driver, "/a/b/file").await;
        let mut writer = driver.writer(&path("/a/upload"), WriteMode::New).await.unwrap();
        writer.write(Bytes::from_static(b"content")).await.unwrap();
        writer.commit().await.unwrap();
        driver.move_file(&path("/a/upload"), &path("/c/moved")).await.unwrap();
        assert_eq!(&driver.get_content(&path("/c/moved")).await.unwrap()[..], b"content");
        driver.delete_files(&[path("/c/moved")]).await.unwrap();
        driver.delete(&path("/a")).await.unwrap();
    }
    let (driver, _directory) = driver().await;
    assert!(driver.capabilities().durable);
}

#[tokio::test]
async fn a_directory_that_fails_to_be_synced_fails_the_operation() {
    for fsync in [|_: &_| Err(rustix::io::Errno::IO), |_: &_| Err(rustix::io::Errno::NOSPC)] {
        let (driver, _directory) = driver_that_syncs_by(fsync).await;
        assert!(driver.capabilities().durable, "it may be well the next time");
        let stored = driver.put_content(&path("/file"), Bytes::from_static(b"content")).await;
        assert_eq!(stored.unwrap_err().kind(), &ErrorKind::OutcomeUnknown);
    }
}

/// A driver whose blobs are, by a symbolic link, in another directory: on another disk where this machine has one for that.
async fn driver_with_linked_blobs() -> (Result<Filesystem>, TempDir, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let root = directory.path().join("root");
    fs::create_dir_all(root.join("v2")).unwrap();
    fs::create_dir(disk.path().join("blobs")).unwrap();
    symlink(disk.path().join("blobs"), root.join("v2/blobs")).unwrap();
    let config = FilesystemConfig {
        root_directory: root,
        follow_links: vec![disk.path().to_owned()],
        ..FilesystemConfig::default()
    };
    (Filesystem::open(config).await, directory, disk)
}

#[tokio::test]
async fn blobs_that_the_operator_linked_to_another_disk_are_stored_there() {
    let (driver, directory, disk) = driver_with_linked_blobs().await;
    let driver = driver.unwrap();
    put(&driver, "/v2/blobs/aa/put").await;
    assert_eq!(fs::read(disk.path().join("blobs/aa/put")).unwrap(), b"content");
    let mut writer = driver.writer(&path("/v2/uploads/one"), WriteMode::New).await.unwrap();
    writer.write(Bytes::from(vec![7; 300_000])).await.unwrap();
    writer.close().await.unwrap();
    let writer = driver.writer(&path("/v2/uploads/one"), WriteMode::Append).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), 300_000);
    driver.move_file(&path("/v2/uploads/one"), &path("/v2/blobs/bb/moved")).await.unwrap();
    assert_eq!(fs::read(disk.path().join("blobs/bb/moved")).unwrap(), vec![7; 300_000]);
    assert!(driver.stat(&path("/v2/uploads/one")).await.unwrap_err().is_path_not_found());
    let append = driver.writer(&path("/v2/blobs/bb/moved"), WriteMode::Append).await.unwrap();
    assert_eq!(append.close().await.unwrap(), 300_000);
    assert_eq!(names(&driver, "/v2").await, ["/v2/blobs", "/v2/uploads"]);
    assert_eq!(names(&driver, "/v2/blobs").await, ["/v2/blobs/aa", "/v2/blobs/bb"]);
    assert!(driver.stat(&path("/v2/blobs")).await.unwrap().is_dir);
    assert_eq!(&driver.get_content(&path("/v2/blobs/aa/put")).await.unwrap()[..], b"content");
    assert!(driver.get_content(&path("/v2/blobs/aa/none")).await.unwrap_err().is_path_not_found());
    driver.delete(&path("/v2/blobs/aa")).await.unwrap();
    driver.delete_files(&[path("/v2/blobs/bb/moved")]).await.unwrap();
    assert!(!disk.path().join("blobs/aa").exists() && !disk.path().join("blobs/bb/moved").exists());
    // From there, and nowhere else.
    fs::write(directory.path().join("secret"), "secret").unwrap();
    symlink(directory.path(), disk.path().join("blobs/out")).unwrap();
    symlink(directory.path(), directory.path().join("root/out")).unwrap();
    for out in ["/v2/blobs/out/secret", "/out/secret"] {
        assert_eq!(driver.get_content(&path(out)).await.unwrap_err().kind(), &ErrorKind::AccessDenied, "{out}");
        assert!(driver.put_content(&path(out), Bytes::new()).await.is_err());
    }
    assert_eq!(fs::read(directory.path().join("secret")).unwrap(), b"secret");
}

#[tokio::test]
async fn a_file_is_moved_whole_to_where_no_rename_reaches() {
    let (driver, directory) = driver().await;
    put(&driver, "/a/file").await;
    put(&driver, "/b/file").await;
    let root = Root::new(directory.path().join("root"), DirectorySync::default(), Links::default());
    let (from, to) = (root.parent(&path("/a/file")).unwrap(), root.parent(&path("/b/file")).unwrap());
    let file = fs::File::open(directory.path().join("root/a/file")).unwrap();
    fs::write(directory.path().join("root/a/file"), "moved").unwrap();
    store::move_over(&root, (&from, "file", &file), to, "file", &Gate::default()).unwrap();
    assert_eq!(&driver.get_content(&path("/b/file")).await.unwrap()[..], b"moved");
    assert!(driver.stat(&path("/a/file")).await.unwrap_err().is_path_not_found());
}

#[tokio::test]
async fn a_link_out_of_the_root_that_nobody_allowed_is_refused_by_name_at_the_start() {
    let (_, directory, disk) = driver_with_linked_blobs().await;
    let open = |links: &[&std::path::Path]| {
        let follow_links = links.iter().map(|link| link.to_path_buf()).collect();
        let root_directory = directory.path().join("root");
        Filesystem::open(FilesystemConfig { root_directory, follow_links, ..FilesystemConfig::default() })
    };
    let target = disk.path().canonicalize().unwrap().join("blobs");
    let elsewhere = tempfile::tempdir().unwrap();
    for links in [&[][..], &[elsewhere.path()][..]] {
        let refused = open(links).await.unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::InvalidParameters);
        for named in ["root/v2/blobs", target.to_str().unwrap(), "followlinks"] {
            assert!(refused.message().contains(named), "{refused}");
        }
    }
    open(&[&target]).await.unwrap();
    let missing = open(&[&disk.path().join("none")]).await.unwrap_err();
    assert_eq!(missing.kind(), &ErrorKind::InvalidParameters);
}
