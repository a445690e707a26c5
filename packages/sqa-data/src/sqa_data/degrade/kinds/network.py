"""Packets lost on the way, and what the receiver plays instead: by its decoder with its state, or made up without."""

import numpy as np

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.kind import Act, Family, Kind, Settings, World
from sqa_data.degrade.kinds.codec import amr, bluetooth, itu, lc3, opus, speex
from sqa_data.degrade.kinds.codec.fill import PitchFill
from sqa_data.degrade.kinds.codec.frames import Coder, through
from sqa_data.degrade.networks import Network, Run
from sqa_data.degrade.signal import Samples, active_power, fit, frames

PACKET_S = 0.02
TRIES = 100  # draws of a pattern until it takes something of the speech
FADED_AFTER = 5  # packets in a row: then silence


def lost_packets(count: int, loss_rate: float, burst: float, rng: np.random.Generator) -> np.ndarray:
    """(count,) which packets are lost, by a Gilbert model; the first one never is.

    `loss_rate`: expected fraction lost; `burst`: mean length of a run of losses, in packets.
    """
    recover = 1 / burst
    lose = min(1.0, loss_rate * recover / max(1 - loss_rate, 1e-6))
    lost = np.zeros(count, bool)
    for packet in range(1, count):
        lost[packet] = rng.random() < (1 - recover if lost[packet - 1] else lose)
    return lost


def losses(x: Samples, severity: float, world: World, packet_s: float = PACKET_S) -> np.ndarray:
    """Which packets of `x` are lost: drawn until at least one of active speech is among them, if there is any.

    From 1 % to 45 % of them, in bursts of 1 to 3.5 packets on average.
    """
    burst = float(world.rng.uniform(1, 3.5))
    loss_rate = 0.01 * 45**severity
    starts = np.rint(np.arange(0, len(x), packet_s * world.rate)).astype(int)
    starts = starts[starts < len(x)]  # a packet that begins less than half a sample before the end holds none
    power = np.add.reduceat(x**2, starts) / np.diff(starts, append=len(x))
    loud = power > 0.01 * active_power(x, world.rate)
    for _ in range(TRIES):
        lost = lost_packets(len(power), loss_rate, burst, world.rng)
        if (lost & loud).any():
            return lost
    speaking = np.flatnonzero(loud[1:]) + 1
    if len(speaking):
        lost[world.rng.choice(speaking)] = True
    return lost


def conceal(x: Samples, lost: np.ndarray, rate: int, how: str) -> Samples:
    """What a receiver plays of packets of 20 ms.

    `how`: "zero" (silence), "repeat" (the last packet again, fading), "pitch" (as `PitchFill` does).
    """
    size = max(1, round(PACKET_S * rate))
    packets = np.split(x, range(size, len(x), size))
    receiver, last, run = PitchFill(rate), packets[0], 0
    played = []
    for packet, missed in zip(packets, fit(lost, len(packets)), strict=True):
        run = run + 1 if missed else 0
        if how == "pitch":
            packet = receiver.lost(len(packet)) if missed else receiver.came(packet)
        elif missed:
            # ever weaker; a packet that has faded stays so
            keep = (
                0.0
                if how == "zero"
                else max(0.0, 1 - (run - 1) / (FADED_AFTER - 1)) * (0.98 if run == 1 else 0.9)
            )
            packet = last[: len(packet)] * keep
        played.append(packet)
        last = packet
    return np.concatenate(played)


def _loss(how: str) -> Act:
    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        lost = losses(x, severity, world)
        return conceal(x, lost, world.rate, how), loss_settings(lost)

    return act


def coded(coder: Coder) -> Act:
    """Lost between encoder and decoder, at one of the codec's bit rates that are neither high nor low."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        ends = len(coder.kbps) // 4
        nominal = float(world.rng.choice(coder.kbps[ends : len(coder.kbps) - ends]))
        with coder.open(nominal, world.rate) as codec:
            lost = losses(x, severity, world, codec.size / codec.rate)
            y, kbps = through(x, world.rate, codec, lost)
        return y, {"kbps": kbps, "mode": nominal, "rate_hz": codec.rate, **loss_settings(lost)}

    return act


def loss_settings(lost: np.ndarray) -> Settings:
    """What was lost: the share of packets, how many, and how many at a time on average."""
    runs = int(np.sum(lost[1:] & ~lost[:-1])) + int(lost[0])
    return {
        "loss_rate": float(lost.mean()),
        "lost": int(lost.sum()),
        "burst": float(lost.sum() / runs) if runs else 0.0,
    }


TPLCNET = Network("tplcnet_s", ("tPLCnet_s.tflite",), "breizhn/tPLCnet (MIT)", "ai-edge-litert")
TPLCNET_RATE, HOP, PAST = 16_000, 160, 4  # Hz; samples; hops that it sees of what it played


def imagine(x: Samples, lost: np.ndarray, run: Run) -> Samples:
    """What tPLCnet plays (Westhausen and Meyer 2022): a network imagines each window of 20 ms with a lost hop of 10 ms.

    `x`: (samples,) at 16 kHz, `lost`: (packets,) of 20 ms. Windows of what arrived are as they were, and overlap.
    """
    fade = np.hanning(2 * HOP + 1)[:-1]
    hops = -(-len(x) // HOP)
    gone = fit(np.repeat(lost, 2), hops)
    arrived = frames(x, HOP, HOP)[:hops] * ~gone[:, None]
    sent = np.pad(arrived, ((1, 1), (0, 0)))  # (hops + 2, HOP)
    windows = np.concatenate([sent[:-1], sent[1:]], axis=1) * fade  # (hops + 1, 2 HOP), half over the next
    played = np.zeros((PAST + hops + 2, HOP))  # what the network has seen before the start is silence
    holes = np.pad(gone, 1)
    for at in range(hops + 1):
        now = PAST + at
        if holes[at] or holes[at + 1]:
            context = np.concatenate([played[at:now], sent[at : at + 2]])
            windows[at] = run(context[None])[0]
        played[now] += windows[at, :HOP]
        played[now + 1] = windows[at, HOP:]
    return played[PAST + 1 : PAST + 1 + hops].reshape(-1)[: len(x)]


def _tplcnet(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    lost = losses(x, severity, world)
    wide = resampled(x, world.rate, TPLCNET_RATE)
    heard = imagine(wide, lost, TPLCNET.tflite_run(world.around, TPLCNET.files[0]))
    y = fit(resampled(heard, TPLCNET_RATE, world.rate), len(x))
    return y, loss_settings(lost) | {"rate_hz": TPLCNET_RATE}


CODED = {
    "amr-nb-loss": amr.CODERS["amr-nb"],
    "amr-wb-loss": amr.CODERS["amr-wb"],
    "speex-loss": speex.CODERS["speex-wb"],
    "opus-loss": opus.CODERS["opus"],
    "opus-fec-loss": opus.CODERS["opus-fec"],
    "lc3-loss": lc3.CODERS["lc3"],
    "msbc-loss": bluetooth.MSBC,
    "g729-loss": itu.CODERS["g729"],
    "g711-plc": itu.G711,
    "g722-plc": itu.CODERS["g722"],
}

KINDS = {
    "loss-zero": Kind(Family.NETWORK, _loss("zero")),
    "loss-repeat": Kind(Family.NETWORK, _loss("repeat")),
    "loss-pitch": Kind(Family.NETWORK, _loss("pitch")),
    **{
        name: Kind(Family.NETWORK, coded(coder), coder.missing, coder.mildest)
        for name, coder in CODED.items()
    },
    "tplcnet": Kind(Family.NETWORK, _tplcnet, TPLCNET.missing),
}
