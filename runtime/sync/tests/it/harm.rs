//! What files do not do, whatever is in them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{World, config_map, replace};

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_state() {
    let world = World::new().await;
    world.write("a.yaml", &format!("{}---\n{}", config_map("a", "one"), config_map("b", "two")));
    world.eventually("the file is ready", || world.is_ready("a.yaml")).await;
    replace(&world.path("a.yaml"), "apiVersion: v1\nkind: [ConfigMap\n");
    world.eventually("it says where", || async { world.error("a.yaml").await.contains("line 3, column 1") }).await;
    assert!(!world.is_ready("a.yaml").await);
    assert_eq!((world.value("a").await, world.value("b").await), ("one".to_owned(), "two".to_owned()));
    world.patch("a", serde_json::json!({"data": {"key": "by hand"}})).await;
    world.eventually("the good state is kept up", || async { world.value("a").await == "one" }).await;
    replace(&world.path("a.yaml"), &config_map("a", "three"));
    world.eventually("mended, it is applied", || async { world.value("a").await == "three" }).await;
    world.eventually("and has no error", || async { world.status("a.yaml").await.unwrap().last_error.is_none() }).await;
}

/// A misspelt kind looks as if its object had left the file.
#[tokio::test]
async fn a_mistake_in_one_object_prunes_none_and_stops_none() {
    let world = World::new().await;
    world.write("a.yaml", &format!("{}---\n{}", config_map("a", "one"), config_map("b", "two")));
    world.eventually("the file is ready", || world.is_ready("a.yaml")).await;
    let misspelt = config_map("a", "one").replace("ConfigMap", "ConfigMpa");
    replace(&world.path("a.yaml"), &format!("{misspelt}---\n{}", config_map("b", "three")));
    world.eventually("the other is applied", || async { world.value("b").await == "three" }).await;
    world
        .eventually("the kind is named", || async { world.error("a.yaml").await.contains("no kind \"ConfigMpa\"") })
        .await;
    assert_eq!(world.value("a").await, "one");
}

#[tokio::test]
async fn mistakes_are_told_precisely() {
    let world = World::new().await;
    let long = "x".repeat(300);
    for (name, text, expected) in [
        ("field.yaml", config_map("a", "one").replace("\ndata:", "\ndta:"), "dta"),
        ("type.yaml", config_map("b", "[1]"), "data"),
        ("bool.yaml", config_map("d", "yes"), "cannot unmarshal boolean into field data.key"),
        ("long.yaml", config_map(&long, "one"), "must be no more than 253"),
        ("twice.yaml", format!("{0}---\n{0}", config_map("c", "one")), "twice"),
        ("unnamed.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: x-\n".to_owned(), "generateName"),
        ("scalar.yaml", "just a text\n".to_owned(), "expected an object"),
    ] {
        world.write(name, &text);
        world.eventually(name, || async { world.error(name).await.contains(expected) }).await;
    }
}

#[tokio::test]
async fn odd_files_harm_nobody() {
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("out.yaml"), config_map("out", "no")).unwrap();
    symlink(outside.path().join("out.yaml"), world.path("out.yaml")).unwrap();
    symlink(outside.path(), world.path("folder.yaml")).unwrap();
    symlink(world.path(""), world.path("loop")).unwrap();
    symlink("nowhere", world.path("dangling.yaml")).unwrap();
    assert!(Command::new("mkfifo").arg(world.path("fifo.yaml")).status().unwrap().success());
    world.write(".hidden.yaml", &config_map("hidden", "no"));
    world.write(".git/a.yaml", &config_map("hidden", "no"));
    world.write("notes.txt", &config_map("hidden", "no"));
    world.write("empty.yaml", "");
    fs::write(world.path("bytes.yaml"), b"a: 1\nb: \xff\n").unwrap();
    fs::File::create(world.path("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    world.write("bomb.yaml", &bomb());
    world.write("deep.yaml", &"[".repeat(100_000));
    world.write("inside/real.yaml", &config_map("inside", "fine"));
    symlink(world.path("inside/real.yaml"), world.path("z-link.yaml")).unwrap();

    world.eventually("the good file is applied", || async { world.value("inside").await == "fine" }).await;
    world.eventually("the empty file is well", || world.is_ready("empty.yaml")).await;
    for (name, expected) in [
        ("bytes.yaml", "line 2: the file is not UTF-8"),
        ("huge.yaml", "larger than 8 MiB"),
        ("bomb.yaml", ""),
        ("deep.yaml", ""),
        ("z-link.yaml", "holds it already"),
    ] {
        let told = || async { !world.error(name).await.is_empty() && world.error(name).await.contains(expected) };
        world.eventually(name, told).await;
    }
    let mut names: Vec<_> = world.files().await.into_iter().map(|file| file.spec.path).collect();
    names.sort();
    let expected = ["bomb", "bytes", "deep", "empty", "huge", "inside/real", "z-link"];
    assert_eq!(names, expected.map(|name| world.path(&format!("{name}.yaml")).to_string_lossy().into_owned()));
    assert!(world.value("out").await.is_empty() && world.value("hidden").await.is_empty());
}

#[tokio::test]
async fn a_directory_that_goes_away_and_comes_back_is_watched_again() {
    let world = World::new().await;
    let root = world.path("");
    world.write("sub/a.yaml", &config_map("a", "one"));
    world.eventually("the file is ready", || world.is_ready("sub/a.yaml")).await;
    let aside = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
    fs::rename(&root, aside.path().join("aside")).unwrap();
    world.api("ConfigMap", "default").delete("a", &Default::default()).await.unwrap();
    world.eventually("the objects are kept meanwhile", || async { world.value("a").await == "one" }).await;

    fs::create_dir(&root).unwrap();
    world.write("b.yaml", &config_map("b", "two"));
    world.eventually("what is new is applied", || async { world.value("b").await == "two" }).await;
    world.eventually("what is gone is pruned", || async { world.value("a").await.is_empty() }).await;
    world.write("c.yaml", &config_map("c", "three"));
    world.eventually("further changes are seen", || async { world.value("c").await == "three" }).await;
}

/// Nine levels of nine references each: 387 million scalars, were they all expanded.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let references = vec![format!("*a{}", level - 1); 9].join(", ");
        text += &format!("a{level}: &a{level} [{references}]\n");
    }
    text
}
