"""Still more corpora in small: tests that their authors publish beside a paper. See `tiny_corpora`."""

import json
from pathlib import Path

from sqa_data.corpora.bernoulli_codec import CLIPS
from tiny_corpora import Clip, Expected, bzipped, tone, zipped

MUSHRA = """<?xml version="1.0" encoding="UTF-8"?>
<MUSHRA>
  <info subjectName="{listener}" testName="ODAQ" testStatus="finished"/>
  <trials>
    <trial trialName="TM_02_violin" trialSeconds="30" referencePlays="2">
      <testFile fileName="reference.wav" plays="2" score="100"/>
      <testFile fileName="Q1.wav" plays="3" score="{score}"/>
    </trial>
  </trials>
</MUSHRA>
"""


def placed(folder: Path, files: dict[str, bytes]) -> None:
    """Write files as they lie on a server, each in its folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def qualispeech(folder: Path) -> Expected:
    """A clip of BVCC that is not there, one score that nobody gave."""
    header = (
        "id,Speed,Naturalness,Background noise,Distortion,Listening effort,Continuity,Overall quality,"
        "Feeling of voice,Noise Description,Distortion description,Unnatural pause,Natural language description\n"
    )
    words = ',"a calm, low voice",None,None,None,"Good.\nAnd clear."\n'
    tables = {
        "train.csv": f"sys01tts-0000000.wav,3,2,5,4,5,5,3{words}sys1a-uttb.wav,3,2,5,4,5,5,1{words}",
        "val.csv": f"sys02tts-0000001.wav,3,,5,4,5,5,4{words}",
        "test.csv": f"nisqa7.wav,1,2,3,4,5,4,5{words}",
    }
    lists = {"train_bvcc.txt": "sys1a-uttb.wav\n", "val_bvcc.txt": "", "test_bvcc.txt": ""}
    placed(folder, {name: (header + body).encode() for name, body in tables.items()})
    placed(folder, {name: body.encode() for name, body in lists.items()})
    clips = ("train/sys01tts-0000000", "val/sys02tts-0000001", "test/nisqa7")
    zipped(folder / "wav_part1.zip", {f"wav/{clip}.wav": tone(f"q {clip}", 16000) for clip in clips})

    def clip(system: str | None, mos: float, *rest: float | None) -> Clip:
        names = ("naturalness", "speed", "noise", "distortion", "effort", "continuity")
        given = zip(names, rest, strict=True)
        return Clip(system, mos, others=tuple((f"mos_{n}", v) for n, v in given if v is not None))

    return {
        "train": {"sys01tts-0000000": clip("sys01tts", 3, 2, 3, 5, 4, 5, 5)},
        "dev": {"sys02tts-0000001": clip("sys02tts", 4, None, 3, 5, 4, 5, 5)},
        "test": {"nisqa7": clip(None, 5, 2, 1, 3, 4, 5, 4)},
    }


def speecheval(folder: Path) -> Expected:
    """Two texts on one clip, a text without a score, pairs with and without a preference."""
    said = (
        "<think>\nOverall Quality: {}/5\nDistortion: 2/5 (timbre;artifacts)\nSpeech Rate: suitable\n</think>"
    )

    def single(clip: str, text: str) -> dict[str, object]:
        row: dict[str, object] = {"key": f"{clip}.wav", "task": "SingleEval", "path": f"audio/en/{clip}.wav"}
        return row | {"path_B": None, "target": text}

    def pair(a: str, b: str) -> dict[str, object]:
        row: dict[str, object] = {"key": f"{a}.wav_{b}.wav", "task": "CompareEval"}
        return row | {"path": f"audio/en/{a}.wav", "path_B": f"audio/zh/{b}.wav", "target": "A is better."}

    def lines(*rows: dict[str, object]) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    spoken = single("en_b", "") | {"messages": [{"role": "assistant", "content": said.format(5)}]}
    rows = {
        "single_eval/train": [single("en_a", said.format(2)), single("en_a", said.format(3)), spoken],
        "single_eval/validation": [single("en_d", said.format(4)), single("en_e", "It is good: 4/5.")],
        "single_eval/test": [single("en_f", said.format(1))],
        "dual_eval/train": [pair("en_a", "zh_c"), pair("en_a", "zh_c"), pair("en_b", "zh_c")],
        "suggest/train": [single("en_a", "Less noise.") | {"task": "Suggest"}],
    }
    placed(folder, {f"data_split/split_data_{k}/multitask.jsonl": lines(*v) for k, v in rows.items()})
    preferences = {"train": lines({"key": "en_a.wav_zh_c.wav", "preference": "tie"}), "test": b""}
    placed(
        folder, {f"preference/{p}.jsonl": preferences.get(p, b"") for p in ("train", "validation", "test")}
    )
    clips = ("en/en_a", "en/en_b", "zh/zh_c", "en/en_d", "en/en_e", "en/en_f")
    placed(folder, {f"audio/{clip}.wav": tone(f"s {clip}", 16000) for clip in clips})
    distortion = (("mos_distortion", 2.0),)
    return {
        "train": {
            "en_a": Clip(None, 2.5, others=distortion),
            "en_b": Clip(None, 5.0, others=distortion),
            "zh_c": Clip(None, None),
        },
        "dev": {"en_d": Clip(None, 4.0, others=distortion)},
        "test": {"en_f": Clip(None, 1.0, others=distortion)},
    }


def brspeechmos(folder: Path) -> Expected:
    """A byte order mark, and natural speech, whose condition is the system."""
    tables = {
        "train.csv": "./data/vits/vits_1.wav,3.5,clean,vits\n./data/gt/1.wav,4.5,noisy,ground_truth\n",
        "val.csv": "./data/vits/vits_2.wav,2,clean,vits\n",
        "test.csv": "./data/tacotron/t_3.wav,1.5,clean,tacotron\n",
    }
    top = "BRSPEECH_MOS_DATASET_v2"
    files = {f"{top}/{k}": f"\ufefffilepath,mos,condition,db\n{v}".encode() for k, v in tables.items()}
    clips = ("vits/vits_1", "gt/1", "vits/vits_2", "tacotron/t_3")
    files |= {f"{top}/data/{clip}.wav": tone(f"b {clip}", 16000) for clip in clips}
    bzipped(folder / f"{top}.tar.bz", files)
    return {
        "train": {"vits_vits_1": Clip("vits", 3.5), "gt_1": Clip("noisy", 4.5)},
        "dev": {"vits_vits_2": Clip("vits", 2.0)},
        "test": {"tacotron_t_3": Clip("tacotron", 1.5)},
    }


def ears_emo_openace(folder: Path) -> Expected:
    """One reference of two codecs."""
    place = "p102/emo_anger_freeform"
    table = (
        "dataset,speaker,emotion,codec,reference_file,distorted_file,reference_mushra_rating,"
        "distorted_mushra_rating,mushra_rating_difference,rating_scale,visqol_score,visqol_scale,polqa_score,"
        "polqa_scale\n"
        f"E,p102,Anger,Opus,{place}/reference.wav,{place}/Opus.wav,96.5,72.25,24.25,MUSHRA (0-100),4.25,V,3.5,P\n"
        f"E,p102,Anger,LC3,{place}/reference.wav,{place}/LC3.wav,96.5,29.5,67,MUSHRA (0-100),3.75,V,,P\n"
    )
    clips = {f"{place}/{clip}.wav": tone(f"e {clip}", 48000) for clip in ("reference", "Opus", "LC3")}
    placed(folder, {"metadata.csv": table.encode()} | clips)
    name = place.replace("/", "_")
    return {
        "test": {
            f"{name}_Opus": Clip("Opus", 72.25, others=(("visqol", 4.25), ("polqa", 3.5))),
            f"{name}_LC3": Clip("LC3", 29.5, others=(("visqol", 3.75),)),
            f"{name}_reference": Clip("reference", 96.5),
        }
    }


def bernoulli_codec(folder: Path) -> Expected:
    """The anchor has votes and no file."""
    (folder / "ratings_formated_filtered.csv").write_text(
        "signal,condition,ratings,participant_ids,file\n"
        'VCTK_p229_293,Proposed 1.38,"[41.0, 32.0]","[2, 3]",stim_01/prop_13.wav\n'
        'VCTK_p229_293,Reference,"[100.0, 99.0]","[2, 3]",stim_01/ref.wav\n'
        'VCTK_p229_293,Anchor,"[23.0, 0.0]","[2, 3]",\n'
    )
    placed(folder, {clip: tone(clip, 24000) for clip in CLIPS})
    return {
        "test": {
            "stim_01_prop_13": Clip("Proposed 1.38", 36.5, 2),
            "stim_01_ref": Clip("Reference", 99.5, 2),
        }
    }


def aes_speech(folder: Path) -> Expected:
    """Of three corpora one is at hand."""
    axes = ("Production_Quality", "Production_Complexity", "Content_Enjoyment", "Content_Usefulness")
    places = ("EARS/p001/a.wav", "LibriTTS/train/b.wav", "cv-corpus-13.0-2023-03-09/en/clips/c.mp3")
    rows = [
        {"data_path": f"/your_path/{place}"} | {axis: [8.0, 9.0 - i, 10.0] for i, axis in enumerate(axes)}
        for place in places
    ]
    placed(folder, {"AES_natural_speech.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()})
    placed(folder, {places[0]: tone("aes", 48000)})
    values = [(f"aes_{axis.lower()}", (27.0 - i) / 3) for i, axis in enumerate(axes)]
    return {"test": {"EARS_p001_a": Clip(None, None, others=tuple(values))}}


def odaq(folder: Path) -> Expected:
    """Two listeners."""
    top = "ODAQ/ODAQ_listening_test"
    names = [f"{top}/TM_02_violin/{clip}.wav" for clip in ("reference", "Q1")]
    files = {name: tone(name, 44100) for name in names}
    for listener, score in (("F01", 40), ("N02", 50)):
        files[f"{top}/{listener}.xml"] = MUSHRA.format(listener=listener, score=score).encode()
    zipped(folder / "ODAQ.zip", files)
    return {
        "test": {
            "TM_02_violin_Q1": Clip("TM_Q1", 45.0, 2),
            "TM_02_violin_reference": Clip("TM_reference", 100.0, 2),
        }
    }


def odaq_bsu(folder: Path) -> Expected:
    """Over the audio of ODAQ."""
    result = MUSHRA.format(listener="s1", score=20.5).encode()
    zipped(folder / "ODAQ_v1_BSU.zip", {"ODAQ_v1_BSU/Cohort_B1/s1.xml": result})
    return {
        "test": {
            "TM_02_violin_Q1": Clip("TM_Q1", 20.5, 1),
            "TM_02_violin_reference": Clip("TM_reference", 100.0, 1),
        }
    }


def ljs_mos_120(folder: Path) -> Expected:
    """Two questions, a vote that was rejected, and a table beside the folders that its paths begin with."""
    header = (
        "audio,file,condition,score_dimension,score,worker_id,gender,age_group,used_headphone,assignment_id,"
    )
    header += "hit_id,state\n"
    rows = (
        "gt/LJ002-0092.wav,LJ002-0092,gt,naturalness,5,1,male,18-29,True,a,h,Approved",
        "gt/LJ002-0092.wav,LJ002-0092,gt,naturalness,4,2,female,50+,True,a,h,Approved",
        "gt/LJ002-0092.wav,LJ002-0092,gt,naturalness,1,3,female,50+,True,a,h,Rejected",
        "gt/LJ002-0092.wav,LJ002-0092,gt,intelligibility,3,1,male,18-29,True,a,h,Approved",
        "impl/LJ002-0092.wav,LJ002-0092,impl,naturalness,2,1,male,18-29,False,a,h,Approved",
    )
    files = {f"train/{c}/LJ002-0092.wav": tone(f"ljs {c}", 22050) for c in ("gt", "impl")}
    placed(folder, files | {"train/metadata.csv": (header + "\n".join(rows)).encode()})
    return {
        "test": {
            "gt_LJ002-0092": Clip("gt", 4.5, 2, others=(("mos_intelligibility", 3.0),)),
            "impl_LJ002-0092": Clip("impl", 2.0, 1),
        }
    }


def yourtts(folder: Path) -> Expected:
    """Tests with conditions of the same names, clips rated for both and for similarity alone; a folder around all."""
    header = "audio_path,score,evaluator_id\n"
    en = "Exp.1/model+SCL/English_VCTK_SECS/p225_1.wav,5.0,11\nExp.1/model+SCL/English_VCTK_SECS/p225_1.wav,4.0,12\n"
    (folder / "EN-naturalness-MOS.csv").write_text(header + en + "GT/VCTK/p225/p225_1.wav,5.0,11\n")
    (folder / "PT-naturalness-MOS.csv").write_text(
        header + "Exp.1/model+SCL/Portuguese_MLS_SECS/1_1.wav,2.0,11\n"
    )
    names = ("Exp.1/model+SCL/English_VCTK_SECS/p225_1", "GT/VCTK/p225/p225_1")
    cross = "Exp.6/EN-PT/F-M/generated/p225_to_1"
    similar = {
        "EN": (f"{names[0]}.wav, reference/p225.wav", (3, 4)),
        "PT": ("Exp.1/model+SCL/Portuguese_MLS_SECS/1_1.wav, reference/1.wav", (1,)),
        "EN-PT": (f"{cross}.wav, Exp.6/EN-PT/F-M/reference/1.wav", (2, 4)),
    }
    for test, (path, scores) in similar.items():
        votes = "".join(f'"{path}",{score}.0,{n}\n' for n, score in enumerate(scores))
        (folder / f"{test}-Sim-MOS.csv").write_text(header + votes)
    files = {
        f"Audios_MOS/{n}.wav": tone(f"y {n}", 16000)
        for n in (*names, cross, "Exp.1/model+SCL/Portuguese_MLS_SECS/1_1")
    }
    zipped(folder / "Audios_MOS.zip", files)
    return {
        "en": {
            "en_Exp.1_model+SCL_English_VCTK_SECS_p225_1": Clip(
                "en_Exp.1_model+SCL", 4.5, 2, others=(("mos_similarity", 3.5),)
            ),
            "en_GT_VCTK_p225_p225_1": Clip("en_GT_VCTK", 5.0, 1),
        },
        "pt": {
            "pt_Exp.1_model+SCL_Portuguese_MLS_SECS_1_1": Clip(
                "pt_Exp.1_model+SCL", 2.0, 1, others=(("mos_similarity", 1.0),)
            )
        },
        "en-pt": {
            "en-pt_Exp.6_EN-PT_F-M_generated_p225_to_1": Clip(
                "en-pt_Exp.6_EN-PT", None, others=(("mos_similarity", 3.0),)
            )
        },
    }


BUILDERS = {
    "aes-speech": aes_speech,
    "bernoulli-codec": bernoulli_codec,
    "brspeechmos": brspeechmos,
    "ears-emo-openace": ears_emo_openace,
    "ljs-mos-120": ljs_mos_120,
    "odaq": odaq,
    "odaq-bsu": odaq_bsu,
    "qualispeech": qualispeech,
    "speecheval": speecheval,
    "yourtts": yourtts,
}
