"""watch.Watch and informer.SharedInformer."""

import queue
import threading

from kubernetes import client, watch
from kubernetes.informer import ADDED, DELETED, MODIFIED, SharedInformer

from cluster import PATIENCE, Case, map_of


class Watching(Case):
    def test_a_watch_tells_what_happened_since_and_ends_in_time(self):
        first = self.core.create_namespaced_config_map(self.namespace, map_of("a", labels={"of": "watch"}))
        self.core.create_namespaced_config_map(self.namespace, map_of("b", labels={"of": "watch"}))
        self.core.patch_namespaced_config_map("b", self.namespace, {"data": {"k": "w"}})
        self.core.delete_namespaced_config_map("a", self.namespace)
        events = watch.Watch().stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            label_selector="of=watch",
            resource_version=first.metadata.resource_version,
            timeout_seconds=1,
        )
        told = [(event["type"], event["object"].metadata.name) for event in events]
        self.assertEqual(told, [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")])
        # Without a version a watch begins with what there is.
        events = watch.Watch().stream(
            self.core.list_namespaced_config_map, self.namespace, label_selector="of=watch", timeout_seconds=1
        )
        self.assertEqual([(event["type"], event["object"].metadata.name) for event in events], [("ADDED", "b")])

    def test_a_streaming_list_ends_with_a_bookmark(self):
        self.core.create_namespaced_config_map(self.namespace, map_of("s", labels={"of": "stream"}))
        events = watch.Watch().stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            label_selector="of=stream",
            send_initial_events=True,
            resource_version_match="NotOlderThan",
            allow_watch_bookmarks=True,
            timeout_seconds=1,
        )
        events = [(event["type"], event["raw_object"]["metadata"]) for event in events]
        self.assertEqual([kind for kind, _ in events], ["ADDED", "BOOKMARK"])
        self.assertEqual(events[1][1]["annotations"], {"k8s.io/initial-events-end": "true"})

    def test_a_watch_of_a_version_that_is_to_come_is_refused(self):
        events = watch.Watch().stream(
            self.core.list_namespaced_config_map,
            self.namespace,
            resource_version="not a number",
            timeout_seconds=1,
        )
        with self.refused(400, "BadRequest"):
            list(events)

    def test_a_log_is_followed_line_by_line(self):
        self.run_pod("talks", {"SIM_LOG": "one\ntwo\n\nfour\n"})
        lines = watch.Watch().stream(self.core.read_namespaced_pod_log, "talks", self.namespace)
        self.assertEqual(list(lines), ["one", "two", "", "four"])

    def test_an_informer_keeps_a_cache(self):
        seen = queue.Queue()
        informer = SharedInformer(
            self.core.list_namespaced_config_map, namespace=self.namespace, label_selector="of=informer"
        )
        for kind in (ADDED, MODIFIED, DELETED):
            informer.add_event_handler(kind, lambda item, kind=kind: seen.put((kind, item.metadata.name)))
        self.core.create_namespaced_config_map(self.namespace, map_of("x", labels={"of": "informer"}))
        informer.start()
        try:
            self.assertEqual(seen.get(timeout=PATIENCE), (ADDED, "x"))
            self.core.create_namespaced_config_map(self.namespace, map_of("y", labels={"of": "informer"}))
            self.assertEqual(seen.get(timeout=PATIENCE), (ADDED, "y"))
            self.core.patch_namespaced_config_map("y", self.namespace, {"data": {"k": "w"}})
            self.assertEqual(seen.get(timeout=PATIENCE), (MODIFIED, "y"))
            self.assertEqual(informer.cache.get_by_key(f"{self.namespace}/y").data["k"], "w")
            self.core.delete_namespaced_config_map("x", self.namespace)
            self.assertEqual(seen.get(timeout=PATIENCE), (DELETED, "x"))
            self.assertEqual(informer.cache.list_keys(), [f"{self.namespace}/y"])
        finally:
            informer.stop()

    def test_a_watch_is_stopped_by_its_user(self):
        watcher, names = watch.Watch(), []
        creating = threading.Timer(
            0.1, lambda: self.core.create_namespaced_config_map(self.namespace, map_of("late", labels={"of": "stop"}))
        )
        creating.start()
        for event in watcher.stream(client.CoreV1Api().list_config_map_for_all_namespaces, label_selector="of=stop"):
            names.append(event["object"].metadata.name)
            watcher.stop()
        creating.join()
        self.assertEqual(names, ["late"])
