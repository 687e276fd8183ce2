"""leaderelection, by a Lease and by a ConfigMap."""

import threading

from kubernetes import client
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from cluster import PATIENCE, Case


class Election(Case):
    def elect(self, lock):
        """Two stand for election: the second leads once the first has given up."""
        led, give_up, order = threading.Event(), threading.Event(), []

        def first():
            order.append("first")
            led.set()
            give_up.wait(PATIENCE)
            raise InterruptedError("it gives up")

        def second():
            order.append("second")
            raise InterruptedError("that is enough")

        def candidate(name, lead):
            config = electionconfig.Config(
                lock("leader", self.namespace, name),
                lease_duration=3,
                renew_deadline=2,
                retry_period=1,
                onstarted_leading=lead,
                onstopped_leading=lambda: None,
            )
            thread = threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True)
            thread.start()
            return thread

        one = candidate("one", first)
        self.assertTrue(led.wait(PATIENCE))
        two = candidate("two", second)
        self.assertTrue(two.is_alive())
        give_up.set()
        for thread in (one, two):
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual(order, ["first", "second"])

    def test_by_a_lease(self):
        self.elect(LeaseLock)
        lease = client.CoordinationV1Api().read_namespaced_lease("leader", self.namespace)
        self.assertEqual((lease.spec.holder_identity, lease.spec.lease_duration_seconds), ("two", 3))
        self.assertGreaterEqual(lease.spec.renew_time, lease.spec.acquire_time)

    def test_by_a_config_map(self):
        self.elect(ConfigMapLock)
        lock = self.core.read_namespaced_config_map("leader", self.namespace)
        self.assertIn('"holderIdentity": "two"', lock.metadata.annotations["control-plane.alpha.kubernetes.io/leader"])
