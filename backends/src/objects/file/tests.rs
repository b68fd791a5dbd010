use std::fs::File;

use futures::TryStreamExt as _;

use super::*;
use crate::objects::contract::objects_contract;

async fn store(root: &Path) -> FileStore {
    FileStore::open(root).await.unwrap()
}

fn names_below(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn it_passes_the_contract() {
    let root = tempfile::tempdir().unwrap();
    objects_contract(Arc::new(store(&root.path().join("made/when/missing")).await)).await;
}

#[tokio::test]
async fn what_was_put_is_there_for_the_next_store() {
    let root = tempfile::tempdir().unwrap();
    let name: ObjectName = "a/b/c".parse().unwrap();
    store(root.path()).await.put(&name, vec![Bytes::from_static(b"bytes")]).await.unwrap();
    assert_eq!(store(root.path()).await.read(&name, 10).await.unwrap(), "bytes");
}

#[tokio::test]
async fn opening_removes_what_the_dead_left_and_nothing_of_the_living() {
    let root = tempfile::tempdir().unwrap();
    let living = store(root.path()).await;
    let held = living.inner.scratch.write(&[Bytes::from_static(b"being written")]).unwrap();
    let dead = root.path().join(".scratch/6e1b1f3e-dead");
    fs::create_dir_all(dead.join("a/deleted/prefix")).unwrap();
    fs::write(dead.join("half-written"), b"half").unwrap();

    let second = store(root.path()).await;
    assert!(!dead.exists());
    assert_eq!(fs::read(held.path()).unwrap(), b"being written");
    drop(held);
    drop((living, second));
    assert_eq!(names_below(&root.path().join(".scratch")), ["lock"]);
}

#[tokio::test]
async fn a_failed_write_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    store.put(&"a/b".parse().unwrap(), vec![]).await.unwrap();
    // A directory is in the way: the bytes are written, then can't get their name.
    let error = store.put(&"a".parse().unwrap(), vec![Bytes::from_static(b"x")]).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
    assert_eq!(names_below(store.inner.scratch.unused_path().parent().unwrap()), ["lock"]);
}

#[tokio::test]
async fn deleting_leaves_no_empty_directories() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    for name in ["a/b/c/one", "a/b/c/two", "a/d/three"] {
        store.put(&name.parse().unwrap(), vec![]).await.unwrap();
    }
    store.delete(&"a/b/c/one".parse().unwrap()).await.unwrap();
    assert_eq!(names_below(&root.path().join("a")), ["b", "d"]);
    store.delete(&"a/b/c/two".parse().unwrap()).await.unwrap();
    assert_eq!(names_below(&root.path().join("a")), ["d"]);
    store.delete_prefix(&"a/d".parse().unwrap()).await.unwrap();
    assert_eq!(names_below(root.path()), [".scratch"]);
}

#[tokio::test]
async fn strangers_files_are_not_objects() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    fs::write(root.path().join(".DS_Store"), b"x").unwrap();
    fs::write(root.path().join("a name"), b"x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("link")).unwrap();
    let listed: Vec<ObjectInfo> = store.list(&ObjectPrefix::all()).try_collect().await.unwrap();
    assert_eq!(listed, []);
}

#[tokio::test]
async fn a_shortened_file_ends_its_stream_with_an_error() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    let name: ObjectName = "a".parse().unwrap();
    store.put(&name, vec![vec![7; 1_000_000].into()]).await.unwrap();
    let stream = store.get_range(&name, 0..1_000_000).await.unwrap();
    File::options().write(true).open(root.path().join("a")).unwrap().set_len(300_000).unwrap();
    let error = stream.try_collect::<Vec<Bytes>>().await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_store_whose_directory_was_removed_is_unavailable() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path()).await;
    fs::remove_dir_all(root.path()).unwrap();
    let error = store.put(&"a/b".parse().unwrap(), vec![]).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let name: ObjectName = "a".parse().unwrap();
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        assert!(matches!(failed("write object", &name, kind.into()), ObjectError::NoSpace { .. }), "{kind}");
    }
    let error = failed("write object", &name, io::ErrorKind::PermissionDenied.into());
    assert_eq!(error.to_string(), "write object a");
}
