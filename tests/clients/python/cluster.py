"""What the tests share: a client of the cluster in KUBECONFIG, and a namespace for each class."""

import json
import time
import unittest

from kubernetes import client, config

# Far more than anything needs: a busy machine must not fail a test.
PATIENCE = 120


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.core = client.CoreV1Api()
        cls.namespace = cls.__name__.lower()
        cls.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=cls.namespace)))

        # A controller makes it; pods are refused before.
        def account():
            return cls.core.list_namespaced_service_account(cls.namespace, field_selector="metadata.name=default").items

        cls().eventually("the default account is there", account)

    def refused(self, status, reason):
        """What is done inside is refused so; `error.body` is then the Status."""
        return _Refused(self, status, reason)

    def eventually(self, what, holds):
        deadline = time.monotonic() + PATIENCE
        while True:
            found = holds()
            if found:
                return found
            self.assertLess(time.monotonic(), deadline, f"in vain: {what}")
            time.sleep(0.05)

    def run_pod(self, name, env=None, **spec):
        """Creates a pod that behaves as `env` says, and waits until it is ready."""
        pairs = [{"name": key, "value": value} for key, value in (env or {}).items()]
        spec = {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "sim", "env": pairs}],
            **spec,
        }
        self.core.create_namespaced_pod(
            self.namespace, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
        )

        def ready():
            pod = self.core.read_namespaced_pod_status(name, self.namespace)
            return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])

        self.eventually(f"{name} is ready", ready)


class _Refused:
    def __init__(self, case, status, reason):
        self.case, self.expected = case, (status, reason)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is None:
            self.case.fail(f"not refused with {self.expected}")
        if not issubclass(kind, client.ApiException):
            return False
        self.body = json.loads(error.body)
        self.headers = error.headers
        self.case.assertEqual((error.status, self.body["reason"]), self.expected, self.body["message"])
        self.case.assertEqual((self.body["kind"], self.body["status"]), ("Status", "Failure"))
        return True


def map_of(name, labels=None, **data):
    metadata = client.V1ObjectMeta(name=name, labels=labels)
    return client.V1ConfigMap(metadata=metadata, data=data or {"k": "v"})
