//! Tests of the pointers, over a map.

use super::*;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

type Map = Rc<RefCell<BTreeMap<Vec<u8>, Arc<Vec<u8>>>>>;

#[derive(Clone, Default)]
struct MapPointer {
    key: Arc<Vec<u8>>,
    map: Map,
    reads: Rc<Cell<usize>>,
}

impl KeyValuePointer for MapPointer {
    fn wrap(word: &Vec<u8>) -> Self {
        Self {
            key: Arc::new(word.clone()),
            ..Self::default()
        }
    }

    fn unwrap(&self) -> Arc<Vec<u8>> {
        self.key.clone()
    }

    fn set(&mut self, v: Arc<Vec<u8>>) {
        self.map.borrow_mut().insert(self.key.to_vec(), v);
    }

    fn get(&self) -> Arc<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        self.map
            .borrow()
            .get(self.key.as_slice())
            .cloned()
            .unwrap_or_default()
    }

    fn inherits(&mut self, from: &Self) {
        self.map = from.map.clone();
        self.reads = from.reads.clone();
    }
}

fn list() -> MapPointer {
    MapPointer::from_keyword("/list")
}

fn bytes(text: &str) -> Arc<Vec<u8>> {
    Arc::new(text.as_bytes().to_vec())
}

fn linked(list: &MapPointer) -> Vec<String> {
    list.map_ll(|item, _| String::from_utf8(item.get().to_vec()).unwrap())
}

#[test]
fn keys_grow_by_appending() {
    let check = |pointer: MapPointer, expect: &[u8]| assert_eq!(*pointer.unwrap(), expect);
    let p = list();
    check(p.keyword("/a"), b"/list/a");
    check(p.select(&vec![0, 255]), b"/list\x00\xff");
    check(p.select_value(258u32), b"/list\x02\x01\x00\x00");
    check(p.length_key(), b"/list/length");
    check(p.head_key(), b"/list/head");
    check(p.next_key(1), b"/list/next\x01\x00\x00\x00");
    check(p.select_index(12), b"/list/12");
    check(p.prefix("x"), b"x/list");
}

#[test]
fn absent_values_read_as_empty_and_zero() {
    let p = list();
    assert!(p.get().is_empty());
    assert_eq!(p.get_value::<u64>(), 0);
    assert_eq!(p.length(), 0);
    assert!(p.pop().is_empty());
    assert_eq!(p.pop_value::<u32>(), 0);
    assert_eq!(linked(&p), [""; 0]);
}

#[test]
fn children_share_what_they_inherit() {
    let p = list();
    p.keyword("/a").set_value(7u8);
    assert_eq!(p.keyword("/a").get_value::<u8>(), 7);
}

#[test]
fn nullifying_writes_a_zero_byte() {
    let mut p = list();
    p.set_or_nullify(Arc::new(vec![0, 1]));
    assert_eq!(*p.get(), [0, 1]);
    p.set_or_nullify(Arc::new(vec![0, 0, 0, 0]));
    assert_eq!(*p.get(), [0]);
}

#[test]
fn a_list_grows_and_shrinks_at_its_end() {
    let p = list();
    p.append(bytes("a"));
    p.append_value(5u32);
    p.extend().set(bytes("c"));
    assert_eq!(
        p.get_list(),
        [bytes("a"), Arc::new(vec![5, 0, 0, 0]), bytes("c")]
    );
    assert_eq!(p.pop(), bytes("c"));
    assert_eq!(p.pop_value::<u32>(), 5);
    assert_eq!(p.length(), 1);
    p.append(bytes("d"));
    assert_eq!(p.get_list(), [bytes("a"), bytes("d")]);
    p.drop_index(0);
    assert_eq!(*p.get_list()[0], [0]);
}

#[test]
fn a_list_of_numbers_reads_as_numbers() {
    let p = list();
    for n in [3u64, 1, 2] {
        p.append_value(n);
    }
    assert_eq!(p.get_list_values::<u64>(), [3, 1, 2]);
}

/// What a script leaves in the state: keys without the list's, numbers in decimal.
fn left(list: &MapPointer) -> Vec<String> {
    let map = list.map.borrow();
    let pairs = map.iter().map(|(key, value)| {
        let key = key.strip_prefix(b"/list").unwrap();
        match key.strip_prefix(b"/next") {
            Some(of) => format!("next({})={}", of[0], value[0]),
            None if value.len() == 4 => {
                format!("{}={}", String::from_utf8_lossy(key), value[0])
            }
            None => {
                let value = String::from_utf8_lossy(value).replace('\0', "00");
                format!("{}={value}", String::from_utf8_lossy(key))
            }
        }
    });
    pairs.collect()
}

fn check_script(script: &str, expect: &[&str], linked: &[u32]) {
    let p = list();
    for step in script.split(' ') {
        match step.strip_prefix('-') {
            Some(index) => p.delete_value(index.parse().unwrap()),
            None => p.append_ll(bytes(step)),
        }
    }
    assert_eq!(left(&p), expect, "{script}");
    assert_eq!(p.map_ll(|_, index| index), linked, "{script}");
}

#[test]
fn deleting_leaves_the_bytes_that_existing_state_has() {
    // The head's place is 0, so what was deleted there comes first again, as a zero.
    check_script(
        "a -0 b",
        &["/0=00", "/1=b", "/head=0", "/length=2", "next(0)=1"],
        &[0, 1],
    );
    check_script(
        "a b c -0",
        &[
            "/0=00",
            "/1=b",
            "/2=c",
            "/head=1",
            "/length=3",
            "next(0)=1",
            "next(1)=2",
        ],
        &[1, 2],
    );
    // The last one is still what the next is appended to, and nothing leads to it.
    check_script(
        "a b c -2 d",
        &[
            "/0=a",
            "/1=b",
            "/2=00",
            "/3=d",
            "/length=4",
            "next(0)=1",
            "next(1)=0",
            "next(2)=3",
        ],
        &[0, 1],
    );
    // Item 1 was out of the list already, so item 2 stays in it.
    check_script(
        "a b c d -1 -2",
        &[
            "/0=a",
            "/1=00",
            "/2=00",
            "/3=d",
            "/length=4",
            "next(0)=2",
            "next(1)=3",
            "next(2)=3",
        ],
        &[0, 2, 3],
    );
    check_script(
        "a b c d -1",
        &[
            "/0=a",
            "/1=00",
            "/2=c",
            "/3=d",
            "/length=4",
            "next(0)=2",
            "next(1)=2",
            "next(2)=3",
        ],
        &[0, 2, 3],
    );
    // What is not there is deleted all the same.
    check_script("a -7", &["/0=a", "/7=00", "/length=1", "next(6)=0"], &[0]);
}

#[test]
fn deleting_takes_the_same_few_reads_wherever_it_is() {
    let reads = |length: u32, i: u32| {
        let p = list();
        (0..length).for_each(|_| p.append_ll(bytes("x")));
        let before = p.reads.get();
        p.delete_value(i);
        p.reads.get() - before
    };
    assert_eq!((reads(3, 1), reads(1000, 999)), (2, 2));
}

#[test]
fn map_ll_may_write_to_the_items() {
    let p = list();
    p.append_ll(bytes("a"));
    p.append_ll(bytes("b"));
    let indices = p.map_ll(|item, index| {
        item.set(bytes("x"));
        index
    });
    assert_eq!(indices, [0, 1]);
    assert_eq!(linked(&p), ["x", "x"]);
}

proptest! {
    /// Over numbers alone: `next` of each item, `head`, and the length.
    #[test]
    fn a_linked_list_is_its_links(steps in prop::collection::vec(prop::option::of(0..8u32), 0..24)) {
        let p = list();
        let (mut next, mut head) = (BTreeMap::<u32, u32>::new(), 0);
        let mut items: BTreeMap<u32, String> = BTreeMap::new();
        let mut length = 0;
        for (step, delete) in steps.into_iter().enumerate() {
            if let Some(i) = delete {
                p.delete_value(i);
                let behind = next.get(&i).copied().unwrap_or(0);
                if i == head {
                    head = behind;
                } else {
                    next.insert(i.wrapping_sub(1), behind);
                }
                items.insert(i, "\0".to_owned());
            } else {
                p.append_ll(bytes(&step.to_string()));
                if length > 0 {
                    next.insert(length - 1, length);
                }
                items.insert(length, step.to_string());
                length += 1;
            }
        }
        prop_assert_eq!(p.length(), length);
        prop_assert_eq!(p.head_key().get_value::<u32>(), head);
        for (&i, &to) in &next {
            prop_assert_eq!(p.next_key(i).get_value::<u32>(), to);
        }
        for (&i, text) in &items {
            prop_assert_eq!(p.select_index(i).get(), bytes(text));
        }
        let known = usize::from(length > 0) + next.len() + items.len();
        let head_is_written = p.map.borrow().contains_key(b"/list/head".as_slice());
        prop_assert_eq!(p.map.borrow().len(), known + usize::from(head_is_written));
    }
}
