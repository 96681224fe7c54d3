//! How much memory the process may have: the machine's, or less if a control group of the
//! system (of a container, a service) bounds it.

use std::fs;
use std::path::{Component, Path};

/// What the process may have, in bytes; none if the system does not tell.
pub(crate) fn total() -> Option<u64> {
    total_below(Path::new("/"))
}

fn total_below(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo"));
    let machine = machine.ok().and_then(|text| parse_machine(&text))?;
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let bounds = own.lines().flat_map(|line| bounds(root, line));
    Some(bounds.fold(machine, u64::min))
}

/// The line `MemTotal:  12345 kB`.
fn parse_machine(text: &str) -> Option<u64> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The bounds of one line of `/proc/self/cgroup`, `ID:CONTROLLERS:GROUP`, and of the
/// groups above.
fn bounds(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':');
    let (Some(id), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next())
    else {
        return Vec::new();
    };
    let (mounts, files): (&[&str], &[&str]) = if id == "0" && controllers.is_empty() {
        (
            &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
            &["memory.max", "memory.high"],
        )
    } else if controllers.split(',').any(|name| name == "memory") {
        (&["sys/fs/cgroup/memory"], &["memory.limit_in_bytes"])
    } else {
        return Vec::new();
    };
    let mounts = mounts.iter().map(|mount| root.join(mount));
    mounts
        .flat_map(|mount| bounds_from(&mount, Path::new(group), files))
        .collect()
}

/// The bounds of `group` below `mount`, and of all groups above it. Seen from within a
/// container, the group may be one that only the system outside has; what is mounted then
/// is the container's own.
fn bounds_from(mount: &Path, group: &Path, files: &[&str]) -> Vec<u64> {
    let is_outside = group.components().any(|part| part == Component::ParentDir);
    let group = if is_outside { Path::new("/") } else { group };
    let below = group.strip_prefix("/").unwrap_or(group);
    let mut found = Vec::new();
    for above in below.ancestors() {
        for file in files {
            // `max` stands for none.
            let text = fs::read_to_string(mount.join(above).join(file));
            found.extend(text.ok().and_then(|text| text.trim().parse::<u64>().ok()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where the system has these files.
    fn total_of(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        total_below(root.path())
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       24684084 kB\nMemFree:         3368248 kB\n",
    );
    const OWN: &str = "proc/self/cgroup";

    #[test]
    fn without_a_bound_it_is_the_machines() {
        let machine = Some(24_684_084 * 1024);
        assert_eq!(total_of(&[MACHINE]), machine);
        assert_eq!(total_of(&[]), None);
        let unbounded = [
            MACHINE,
            (OWN, "0::/user.slice\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
        ];
        assert_eq!(total_of(&unbounded), machine);
        let unbounded = [
            MACHINE,
            (OWN, "4:memory:/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(total_of(&unbounded), machine);
    }

    #[test]
    fn the_group_and_those_above_it_bound_it() {
        let own = (OWN, "0::/system.slice/metashrew.service\n");
        let group = "sys/fs/cgroup/system.slice/metashrew.service/memory.max";
        assert_eq!(total_of(&[MACHINE, own, (group, "5000\n")]), Some(5_000));
        let above = ("sys/fs/cgroup/system.slice/memory.high", "4000\n");
        assert_eq!(
            total_of(&[MACHINE, own, (group, "5000\n"), above]),
            Some(4_000)
        );
    }

    #[test]
    fn the_first_version_of_control_groups_counts_too() {
        let own = (
            OWN,
            "9:name=systemd:/\n4:cpu,memory:/docker/abc\n1:cpu:/docker/abc\n0::/\n",
        );
        let group = "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes";
        assert_eq!(total_of(&[MACHINE, own, (group, "6000\n")]), Some(6_000));
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_root() {
        for group in ["/docker/abc", "/../../abc", "/"] {
            let own = format!("4:memory:{group}\n0::{group}\n");
            for file in ["memory/memory.limit_in_bytes", "memory.max"] {
                let file = format!("sys/fs/cgroup/{file}");
                let files = [MACHINE, (OWN, own.as_str()), (&file, "7000\n")];
                assert_eq!(total_of(&files), Some(7_000), "{group} {file}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_memory() {
        assert!(total().is_some_and(|bytes| bytes > 1 << 20));
    }
}
