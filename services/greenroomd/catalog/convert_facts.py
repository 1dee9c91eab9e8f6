"""The facts of a version to protobuf and back."""

from __future__ import annotations

from greenroom.catalog.v1 import facts_pb2
from greenroomd.catalog import domain
from greenroomd.platform.wellknown import values_from_proto, values_to_proto


def facts_to_proto(facts: domain.Facts) -> facts_pb2.Facts:
    return facts_pb2.Facts(
        framework=facts.framework,
        framework_version=facts.framework_version,
        model_type=facts.model_type,
        task=facts.task,
        metrics=[
            facts_pb2.Metric(
                name=metric.name,
                value=metric.value,
                dataset=metric.dataset,
                slice=metric.slice,
                step=metric.step,
                unit=metric.unit,
                direction=facts_pb2.Metric.Direction.ValueType(metric.direction.value),
            )
            for metric in facts.metrics
        ],
        params=values_to_proto(facts.params),
        datasets=[
            facts_pb2.Dataset(
                name=dataset.name,
                digest=dataset.digest,
                location=dataset.location,
                role=facts_pb2.Dataset.Role.ValueType(dataset.role.value),
            )
            for dataset in facts.datasets
        ],
        code=None if facts.code is None else code_to_proto(facts.code),
        environment=None if facts.environment is None else environment_to_proto(facts.environment),
        producer=None
        if facts.producer is None
        else facts_pb2.Producer(system=facts.producer.system, run_id=facts.producer.run_id, link=facts.producer.link),
        parents=facts.parents,
        inputs=[port_to_proto(port) for port in facts.inputs],
        outputs=[port_to_proto(port) for port in facts.outputs],
    )


def facts_from_proto(message: facts_pb2.Facts) -> domain.Facts:
    return domain.Facts(
        framework=message.framework,
        framework_version=message.framework_version,
        model_type=message.model_type,
        task=message.task,
        metrics=tuple(
            domain.Metric(
                name=metric.name,
                value=metric.value,
                dataset=metric.dataset,
                slice=metric.slice,
                step=metric.step,
                unit=metric.unit,
                direction=domain.Direction(metric.direction),
            )
            for metric in message.metrics
        ),
        params=values_from_proto(message.params),
        datasets=tuple(
            domain.Dataset(dataset.name, dataset.digest, dataset.location, domain.DatasetRole(dataset.role))
            for dataset in message.datasets
        ),
        code=code_from_proto(message.code) if message.HasField("code") else None,
        environment=environment_from_proto(message.environment) if message.HasField("environment") else None,
        producer=domain.Producer(message.producer.system, message.producer.run_id, message.producer.link)
        if message.HasField("producer")
        else None,
        parents=tuple(message.parents),
        inputs=tuple(domain.Port(port.name, port.data_type, tuple(port.shape)) for port in message.inputs),
        outputs=tuple(domain.Port(port.name, port.data_type, tuple(port.shape)) for port in message.outputs),
    )


def port_to_proto(port: domain.Port) -> facts_pb2.Port:
    return facts_pb2.Port(name=port.name, data_type=port.data_type, shape=port.shape)


def code_to_proto(code: domain.CodeReference) -> facts_pb2.CodeReference:
    return facts_pb2.CodeReference(
        repository=code.repository, commit=code.commit, ref=code.ref, dirty=code.dirty, entry_point=code.entry_point
    )


def code_from_proto(message: facts_pb2.CodeReference) -> domain.CodeReference:
    return domain.CodeReference(
        repository=message.repository,
        commit=message.commit,
        ref=message.ref,
        dirty=message.dirty if message.HasField("dirty") else None,
        entry_point=message.entry_point,
    )


def environment_to_proto(environment: domain.Environment) -> facts_pb2.Environment:
    hardware = environment.hardware
    return facts_pb2.Environment(
        python_version=environment.python_version,
        operating_system=environment.operating_system,
        libraries=environment.libraries,
        image_digest=environment.image_digest,
        lockfile_digest=environment.lockfile_digest,
        hardware=None
        if hardware is None
        else facts_pb2.Hardware(
            cpu=hardware.cpu,
            cpu_count=hardware.cpu_count,
            memory_bytes=hardware.memory_bytes,
            gpu=hardware.gpu,
            gpu_count=hardware.gpu_count,
            driver_version=hardware.driver_version,
        ),
        seeds=environment.seeds,
    )


def environment_from_proto(message: facts_pb2.Environment) -> domain.Environment:
    hardware = message.hardware
    return domain.Environment(
        python_version=message.python_version,
        operating_system=message.operating_system,
        libraries=dict(sorted(message.libraries.items())),
        image_digest=message.image_digest,
        lockfile_digest=message.lockfile_digest,
        hardware=domain.Hardware(
            cpu=hardware.cpu,
            cpu_count=hardware.cpu_count,
            memory_bytes=hardware.memory_bytes,
            gpu=hardware.gpu,
            gpu_count=hardware.gpu_count,
            driver_version=hardware.driver_version,
        )
        if message.HasField("hardware")
        else None,
        seeds=dict(sorted(message.seeds.items())),
    )
