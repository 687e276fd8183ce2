//! A watched directory: files in, objects out, and nothing that a file can do harms another.

use std::fs;

use crate::harness::Cluster;

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n")
}

fn value(cluster: &Cluster, name: &str) -> String {
    cluster.try_cli(&["get", "configmap", name, "-o", "jsonpath={.data.key}"]).unwrap_or_default()
}

#[test]
fn files_are_applied_repaired_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), config_map("a", "one") + "---\n" + &config_map("b", "two")).unwrap();
    let cluster = Cluster::up(&["--runtime", "sim", "--manifests", dir.path().to_str().unwrap()]);
    cluster.eventually("both documents are applied", |c| value(c, "a") == "one" && value(c, "b") == "two");

    fs::write(dir.path().join("a.yaml"), config_map("a", "three") + "---\n" + &config_map("b", "two")).unwrap();
    cluster.eventually("an edit is applied", |c| value(c, "a") == "three");

    let patch = cluster.write("patch.yaml", &config_map("a", "by-hand"));
    cluster.cli(&["apply", "-f", &patch]);
    cluster.eventually("a change behind its back is repaired", |c| value(c, "a") == "three");

    fs::write(dir.path().join("a.yaml"), config_map("a", "three")).unwrap();
    cluster.eventually("a removed document is pruned", |c| value(c, "b").is_empty());
    assert_eq!(value(&cluster, "a"), "three");

    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    cluster.eventually("a removed file is pruned", |c| value(c, "a").is_empty());
}

#[test]
fn what_was_removed_while_away_is_pruned_on_return() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), config_map("a", "one")).unwrap();
    fs::write(dir.path().join("b.yaml"), config_map("b", "two")).unwrap();
    let mut cluster = Cluster::up(&["--runtime", "sim", "--manifests", dir.path().to_str().unwrap()]);
    cluster.eventually("both are applied", |c| value(c, "a") == "one" && value(c, "b") == "two");
    cluster.kill();
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    cluster.start();
    cluster.eventually("the removed file is pruned", |c| value(c, "a").is_empty());
    assert_eq!(value(&cluster, "b"), "two");
}

#[test]
fn a_broken_file_keeps_its_last_good_state_and_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), config_map("a", "one")).unwrap();
    let cluster = Cluster::up(&["--runtime", "sim", "--manifests", dir.path().to_str().unwrap()]);
    cluster.eventually("the file is applied", |c| value(c, "a") == "one");

    fs::write(dir.path().join("a.yaml"), "apiVersion: v1\nkind: [ConfigMap\n").unwrap();
    fs::write(dir.path().join(".hidden.yaml"), config_map("hidden", "no")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("out.yaml")).unwrap();
    fs::write(dir.path().join("bomb.yaml"), bomb()).unwrap();
    fs::File::create(dir.path().join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    fs::write(dir.path().join("c.yaml"), config_map("c", "three")).unwrap();

    cluster.eventually("the other file is applied", |c| value(c, "c") == "three");
    cluster.eventually("the broken file says where it is broken", |c| {
        c.cli(&["get", "mf", "-A", "-o", "yaml"]).contains("line 3")
    });
    assert_eq!(value(&cluster, "a"), "one");
    assert!(value(&cluster, "hidden").is_empty());
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
