from daam_bench.types.coco_classes import CATEGORY_IDS, CLASSES


def test_the_80_classes_carry_cocos_own_ids():
    assert len(set(CLASSES)) == 80
    known = {"person": 1, "stop sign": 13, "cat": 17, "wine glass": 46, "tv": 72, "toothbrush": 90}
    assert {name: CATEGORY_IDS[name] for name in known} == known
