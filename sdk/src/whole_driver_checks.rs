
// What a caller may rely on, checked natively: nothing in this driver waits. Appended to the example as a doctest.
fn ready<T>(future: impl std::future::Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the future waits"),
    }
}
let driver = ready(Memory::open(NoParameters {})).unwrap();
let names = |path: &str| -> Result<Vec<String>> {
    Ok(ready(ready(driver.list(path, None))?.collect())?.iter().map(|entry| entry.position().key()).collect())
};
assert!(ready(driver.stat("/")).unwrap().is_dir);
assert_eq!(names("/").unwrap(), [""; 0]);
assert!(names("/missing").unwrap_err().is_path_not_found());

for path in ["/a/x", "/a-b", "/a.b", "/ab"] {
    ready(driver.put_content(path, b"old".to_vec())).unwrap();
}
assert_eq!(names("/").unwrap(), ["/a-b", "/a.b", "/a/", "/ab"]);
assert!(names("/ab").unwrap_err().is_path_not_found());
assert!(ready(driver.stat("/a")).unwrap().is_dir);
assert!(ready(driver.get_content("/a")).unwrap_err().is_path_not_found());
assert!(ready(driver.move_file("/a", "/b")).unwrap_err().is_path_not_found());

// A file beside a directory of its name: deleting the file leaves the directory.
ready(driver.put_content("/a", b"new".to_vec())).unwrap();
ready(driver.delete_files(&["/a".to_owned(), "/missing".to_owned()])).unwrap();
assert_eq!(ready(driver.get_content("/a/x")).unwrap(), b"old");

ready(driver.delete("/a")).unwrap();
assert_eq!(names("/").unwrap(), ["/a-b", "/a.b", "/ab"]);
assert!(ready(driver.delete("/a")).unwrap_err().is_path_not_found());
ready(driver.move_file("/ab", "/a-b")).unwrap();
assert_eq!(names("/").unwrap(), ["/a-b", "/a.b"]);
