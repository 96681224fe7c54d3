//! Which calls may be part of a recursion.
//!
//! Functions that can reach each other form a group. A call within a group is counted. One that
//! leaves its group never comes back to it, so each group has at most one frame on the stack
//! that is not counted: together they cost no more than the most costly way through the groups.
#![expect(
    clippy::indexing_slicing,
    reason = "functions are numbered by the validator, nodes and groups by this file"
)]

use std::collections::BTreeMap;
use std::ops::Range;

use super::frames::{Callee, Frames, TypeId};

/// A call before which the stack is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CountedCall {
    pub(super) at: Range<usize>,
    /// What the caller's frame costs.
    pub(super) cost: u64,
}

/// The calls to count, in the order of the code, so that frames that are not counted cost
/// `max_uncounted` at most, if no frame alone costs more.
pub(super) fn counted_calls(frames: &Frames, max_uncounted: u64) -> Vec<CountedCall> {
    let graph = Graph::of(frames);
    let groups = graph.groups();
    let all = groups.uncounted > max_uncounted;
    let mut counted = Vec::new();
    for (caller, function) in frames.functions.iter().enumerate() {
        for call in &function.calls {
            let callee = graph.node(call.to);
            let recurses = callee.is_some_and(|callee| groups.same(caller, callee));
            if !call.is_tail && (all || recurses) {
                counted.push(CountedCall {
                    at: call.at.clone(),
                    cost: function.cost,
                });
            }
        }
    }
    counted
}

/// Functions, then for each type one node that leads to all functions of that type, then one
/// that leads to those of any type.
struct Graph {
    costs: Vec<u64>,
    edges: Vec<Vec<usize>>,
    types: BTreeMap<TypeId, usize>,
    any: usize,
}

impl Graph {
    fn of(frames: &Frames) -> Self {
        let functions = frames.functions.len();
        let mut types = BTreeMap::new();
        for (ty, _) in &frames.referenced {
            let next = functions + types.len();
            types.entry(*ty).or_insert(next);
        }
        let any = functions + types.len();
        let mut graph = Self {
            costs: frames
                .functions
                .iter()
                .map(|function| function.cost)
                .collect(),
            edges: vec![Vec::new(); any + 1],
            types,
            any,
        };
        graph.costs.resize(any + 1, 0);
        let mut edges = Vec::new();
        for (caller, function) in frames.functions.iter().enumerate() {
            let callees = function.calls.iter().filter_map(|call| graph.node(call.to));
            edges.extend(callees.map(|callee| (caller, callee)));
        }
        for (ty, function) in &frames.referenced {
            let function = *function as usize;
            edges.extend(graph.types.get(ty).map(|node| (*node, function)));
            edges.push((any, function));
        }
        edges.sort_unstable();
        edges.dedup();
        for (from, to) in edges {
            if let Some(callees) = graph.edges.get_mut(from) {
                callees.push(to);
            }
        }
        graph
    }

    /// What a call leads to; none if no function of this module.
    fn node(&self, callee: Callee) -> Option<usize> {
        match callee {
            Callee::Function(function) => Some(function as usize),
            Callee::OfType(ty) => self.types.get(&ty).copied(),
            Callee::Any => Some(self.any),
        }
    }

    /// Tarjan's algorithm, without recursion. A group is complete after all that it leads to.
    fn groups(&self) -> Groups {
        let nodes = self.edges.len();
        let mut search = Search {
            graph: self,
            order: vec![UNSEEN; nodes],
            low: vec![0; nodes],
            next: 0,
            open: Vec::new(),
            groups: Groups {
                of: vec![UNSEEN; nodes],
                below: Vec::new(),
                uncounted: 0,
            },
        };
        for node in 0..nodes {
            if search.order[node] == UNSEEN {
                search.from(node);
            }
        }
        search.groups
    }
}

const UNSEEN: usize = usize::MAX;

struct Groups {
    /// The group of each node.
    of: Vec<usize>,
    /// For each group, what one frame of it and those it leads to cost at most.
    below: Vec<u64>,
    /// The greatest of these.
    uncounted: u64,
}

impl Groups {
    fn same(&self, a: usize, b: usize) -> bool {
        self.of[a] == self.of[b]
    }
}

struct Search<'a> {
    graph: &'a Graph,
    /// When each node was first seen.
    order: Vec<usize>,
    low: Vec<usize>,
    next: usize,
    /// Nodes whose group is not complete.
    open: Vec<usize>,
    groups: Groups,
}

impl Search<'_> {
    fn from(&mut self, root: usize) {
        let mut path = vec![(root, 0)];
        self.see(root);
        while let Some((node, tried)) = path.last_mut() {
            let node = *node;
            if let Some(&callee) = self.graph.edges[node].get(*tried) {
                *tried += 1;
                if self.order[callee] == UNSEEN {
                    self.see(callee);
                    path.push((callee, 0));
                } else if self.groups.of[callee] == UNSEEN {
                    self.low[node] = self.low[node].min(self.order[callee]);
                }
                continue;
            }
            path.pop();
            if let Some(&(caller, _)) = path.last() {
                self.low[caller] = self.low[caller].min(self.low[node]);
            }
            if self.low[node] == self.order[node] {
                self.complete(node);
            }
        }
    }

    fn see(&mut self, node: usize) {
        self.order[node] = self.next;
        self.low[node] = self.next;
        self.next += 1;
        self.open.push(node);
    }

    /// Takes the group whose first node is `first` from the open ones.
    fn complete(&mut self, first: usize) {
        let start = self
            .open
            .iter()
            .rposition(|node| *node == first)
            .unwrap_or(0);
        let members = self.open.split_off(start);
        let group = self.groups.below.len();
        for node in &members {
            self.groups.of[*node] = group;
        }
        let costs = members.iter().map(|node| self.graph.costs[*node]);
        let callees = members.iter().flat_map(|node| &self.graph.edges[*node]);
        let others = callees
            .map(|callee| self.groups.of[*callee])
            .filter(|other| *other != group);
        let below = others
            .map(|other| self.groups.below[other])
            .max()
            .unwrap_or(0);
        let cost = costs.max().unwrap_or(0).saturating_add(below);
        self.groups.below.push(cost);
        self.groups.uncounted = self.groups.uncounted.max(cost);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frames::{Call, Function};
    use super::*;

    /// Functions that call each other: each with its cost, and whom it calls how.
    fn frames() -> impl Strategy<Value = Frames> {
        let call = (0_u32..8, any::<bool>(), prop::bool::weighted(0.2));
        let function = (1_u64..100, prop::collection::vec(call, 0..4));
        prop::collection::vec(function, 1..8).prop_map(|functions| {
            let count = u32::try_from(functions.len()).unwrap();
            let mut at = 0;
            let functions = functions.into_iter().map(|(cost, calls)| {
                let calls = calls.into_iter().map(|(to, is_tail, any)| {
                    at += 1;
                    let to = if any {
                        Callee::Any
                    } else {
                        Callee::Function(to % count)
                    };
                    Call {
                        at: at..at,
                        to,
                        is_tail,
                    }
                });
                Function {
                    cost,
                    calls: calls.collect(),
                }
            });
            Frames {
                functions: functions.collect(),
                referenced: vec![(None, 0), (None, count / 2)],
                globals: 0,
            }
        })
    }

    fn callees(frames: &Frames, call: &Call) -> Vec<usize> {
        match call.to {
            Callee::Function(function) => vec![function as usize],
            _ => frames
                .referenced
                .iter()
                .map(|(_, function)| *function as usize)
                .collect(),
        }
    }

    fn reaches(frames: &Frames, from: usize, to: usize) -> bool {
        let (mut seen, mut next) = (vec![false; frames.functions.len()], vec![from]);
        while let Some(function) = next.pop() {
            if !std::mem::replace(&mut seen[function], true) {
                let calls = &frames.functions[function].calls;
                next.extend(calls.iter().flat_map(|call| callees(frames, call)));
            }
        }
        seen[to]
    }

    /// The most that frames cost which are not counted, of every stack that can be: a walk
    /// along calls.
    fn walk(
        frames: &Frames,
        function: usize,
        counted: &[usize],
        uncounted: u64,
        steps: u32,
    ) -> u64 {
        let here = &frames.functions[function];
        let mut most = uncounted + here.cost;
        if steps == 0 {
            return most;
        }
        for call in &here.calls {
            let is_counted = call.is_tail || counted.contains(&call.at.start);
            let more = if is_counted { 0 } else { here.cost };
            for callee in callees(frames, call) {
                most = most.max(walk(frames, callee, counted, uncounted + more, steps - 1));
            }
        }
        most
    }

    proptest! {
        #[test]
        fn a_call_is_counted_if_the_callee_reaches_the_caller(frames in frames()) {
            let counted = counted_calls(&frames, u64::MAX);
            for (caller, function) in frames.functions.iter().enumerate() {
                for call in &function.calls {
                    let mut callees = callees(&frames, call).into_iter();
                    let recurses = callees.any(|callee| reaches(&frames, callee, caller));
                    let is_counted = counted.iter().any(|other| other.at == call.at);
                    prop_assert_eq!(is_counted, recurses && !call.is_tail);
                }
            }
        }

        #[test]
        fn no_stack_has_more_uncounted_frames_than_its_bound(frames in frames()) {
            let bound = Graph::of(&frames).groups().uncounted;
            let counted: Vec<_> =
                counted_calls(&frames, u64::MAX).iter().map(|call| call.at.start).collect();
            for function in 0..frames.functions.len() {
                prop_assert!(walk(&frames, function, &counted, 0, 6) <= bound);
            }
        }
    }
}
