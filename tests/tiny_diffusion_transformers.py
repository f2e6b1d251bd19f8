"""Tiny pipelines of diffusion transformers with random weights, built from the real classes."""

from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from tests.tiny_pipelines import tiny_tokenizer

_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'] if m['content'] is string else m['content'][0]['text'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

WORDS = ["a", "cat", "and", "pizza", "on", "the", "grass", "dog", "in", "two", "cats", "ball", "red", "teddy"]
WORDS += ["bear", "<Prompt", "Start>", "user", "system", "assistant"]


def unigram(eos="</s>", bos=None, extra=(), pad_side="right", chat=False, maxlen=512):
    """A sentencepiece-like tokenizer: metaspace words, characters as fallback."""
    specials = ["<pad>", "</s>", "<unk>", "<bos>", "<|im_start|>", "<|im_end|>", *extra]
    vocab = [(s, 0.0) for s in specials]
    vocab += [("▁" + w, -2.0) for w in dict.fromkeys(WORDS)]
    vocab += [(c, -9.0) for c in map(chr, range(33, 127))] + [("▁", -5.0), ("\n", -5.0)]
    vocab = list(dict(vocab).items())
    tok = Tokenizer(models.Unigram(vocab, unk_id=2))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first" if not chat else "never")
    tok.decoder = decoders.Metaspace()
    ids = {v[0]: i for i, v in enumerate(vocab)}
    left = f"{bos} " if bos else ""
    right = f" {eos}" if eos else ""
    if left or right:
        tok.post_processor = processors.TemplateProcessing(
            single=f"{left}$A{right}", special_tokens=[(s, ids[s]) for s in (bos, eos) if s]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token=eos or "</s>",
        bos_token=bos,
        padding_side=pad_side,
        model_max_length=maxlen,
        model_input_names=["input_ids", "attention_mask"],
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )
    if chat:
        fast.chat_template = _CHAT
    return fast


def clip(kind, hidden=32, positions=77):
    torch.manual_seed(0)
    tok = tiny_tokenizer(max_length=positions)
    config = CLIPTextConfig(
        vocab_size=len(tok),
        hidden_size=hidden,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=hidden,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        max_position_embeddings=positions,
    )
    return kind(config).eval(), tok


def t5(dim=32):
    torch.manual_seed(1)
    tok = unigram()
    return T5EncoderModel(
        T5Config(vocab_size=len(tok), d_model=dim, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    ).eval(), tok


def kl(latent=4, shift=0.06, scale=1.5, levels=2):
    torch.manual_seed(2)
    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        latent_channels=latent,
        norm_num_groups=2,
        layers_per_block=1,
        shift_factor=shift,
        scaling_factor=scale,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def transformer(name: str, **config: Any) -> Any:
    """Build a transformer of diffusers' class; skip the test where diffusers is too old to have it."""
    if not hasattr(diffusers, name):
        pytest.skip(f"diffusers {diffusers.__version__} has no {name}")
    torch.manual_seed(3)
    return getattr(diffusers, name)(**config).eval()


def pipeline(name: str, denoiser: Any, vae: Any, *texts: Any, scheduler: Any = None, **more: Any) -> Any:
    """Put a pipeline together; each text encoder comes with its tokenizer, in the order of their numbers."""
    for number, (encoder, tokenizer) in enumerate(texts, start=1):
        end = "" if number == 1 else f"_{number}"
        more |= {f"text_encoder{end}": encoder, f"tokenizer{end}": tokenizer}
    scheduler = scheduler or FlowMatchEulerDiscreteScheduler()
    return getattr(diffusers, name)(transformer=denoiser, vae=vae, scheduler=scheduler, **more)


def sd3(dual=True):
    tr = transformer(
        "SD3Transformer2DModel",
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_layers=3,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=64,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
        pos_embed_max_size=64,
        qk_norm="rms_norm",
        dual_attention_layers=(0,) if dual else (),
    )
    clips = [clip(CLIPTextModelWithProjection) for _ in range(2)]
    return pipeline("StableDiffusion3Pipeline", tr, kl(), *clips, t5(64))


def flux(guidance=True):
    tr = transformer(
        "FluxTransformer2DModel",
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
        guidance_embeds=guidance,
    )
    return pipeline("FluxPipeline", tr, kl(), clip(CLIPTextModel), t5(32))


def chroma():
    tr = transformer(
        "ChromaTransformer2DModel",
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 4, 8],
        approximator_num_channels=64,
        approximator_hidden_dim=32,
        approximator_layers=1,
    )
    return pipeline("ChromaPipeline", tr, kl(), t5(32))


def pixart(sigma=True):
    tr = transformer(
        "PixArtTransformer2DModel",
        sample_size=16,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
        use_additional_conditions=False,
    )
    kind = "PixArtSigmaPipeline" if sigma else "PixArtAlphaPipeline"
    return pipeline(kind, tr, kl(shift=None), t5(32), scheduler=DDIMScheduler())


def qwen():
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tr = transformer(
        "QwenImageTransformer2DModel",
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ).eval()
    tok = unigram(eos=None, chat=True, maxlen=2048)
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
            "rope_theta": 1000000.0,
            "vocab_size": len(tok),
            "bos_token_id": 1,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
        hidden_size=16,
        vocab_size=len(tok),
        vision_end_token_id=4,
        vision_start_token_id=4,
        vision_token_id=4,
    )
    encoder = Qwen2_5_VLForConditionalGeneration(config).eval()
    pipe = pipeline("QwenImagePipeline", tr, vae, (encoder, tok))
    head = pipe.prompt_template_encode.split("{}")[0]
    pipe.prompt_template_encode_start_idx = len(tok(head).input_ids)
    return pipe


def zimage():
    from transformers import Qwen3Config, Qwen3Model

    tok = unigram(eos=None, chat=True, maxlen=2048)
    tr = transformer(
        "ZImageTransformer2DModel",
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        qk_norm=True,
        cap_feat_dim=16,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    with torch.no_grad():
        for p in tr.parameters():
            if torch.isnan(p).any() or p.abs().max() > 1e3:
                torch.nn.init.normal_(p, std=0.02)
        tr.x_pad_token.normal_()
        tr.cap_pad_token.normal_()
    enc = Qwen3Model(
        Qwen3Config(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            vocab_size=len(tok),
            max_position_embeddings=512,
        )
    ).eval()
    return pipeline("ZImagePipeline", tr, kl(latent=16), (enc, tok))


def flux2():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tok = unigram(eos=None, chat=True, maxlen=2048)
    tr = transformer(
        "Flux2Transformer2DModel",
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=False,
    )
    enc = Qwen3ForCausalLM(
        Qwen3Config(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=28,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            vocab_size=len(tok),
            max_position_embeddings=1024,
        )
    ).eval()
    vae = diffusers.AutoencoderKLFlux2(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(4,),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    return pipeline("Flux2KleinPipeline", tr, vae, (enc, tok), is_distilled=False)


def gemma(dim=8, layers=2):
    from transformers import Gemma2Config, Gemma2Model

    torch.manual_seed(5)
    tok = unigram(eos=None, bos="<bos>", pad_side="right", maxlen=2048)
    return Gemma2Model(
        Gemma2Config(
            hidden_size=dim,
            intermediate_size=16,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
            vocab_size=len(tok),
        )
    ).eval(), tok


def sana():
    tr = transformer(
        "SanaTransformer2DModel",
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    vae = diffusers.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=[1, 1],
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    ).eval()
    return pipeline("SanaPipeline", tr, vae, gemma())


def lumina2():
    tr = transformer(
        "Lumina2Transformer2DModel",
        sample_size=4,
        patch_size=2,
        in_channels=4,
        hidden_size=24,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=3,
        num_kv_heads=1,
        multiple_of=2,
        ffn_dim_multiplier=None,
        norm_eps=1e-5,
        scaling_factor=1.0,
        axes_dim_rope=[4, 2, 2],
        axes_lens=[300, 64, 64],
        cap_feat_dim=8,
    )
    return pipeline("Lumina2Pipeline", tr, kl(), gemma())


def hunyuan():
    tr = transformer(
        "HunyuanDiT2DModel",
        sample_size=16,
        num_layers=4,
        patch_size=2,
        attention_head_dim=16,
        num_attention_heads=2,
        in_channels=4,
        cross_attention_dim=32,
        cross_attention_dim_t5=32,
        pooled_projection_dim=16,
        hidden_size=32,
        activation_fn="gelu-approximate",
        text_len=77,
        text_len_t5=256,
        learn_sigma=True,
    )
    return pipeline(
        "HunyuanDiTPipeline",
        tr,
        kl(shift=None, levels=4),
        t5(32),
        t5(32),
        scheduler=DDPMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def aura():
    tr = transformer(
        "AuraFlowTransformer2DModel",
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pos_embed_max_size=256,
    )
    return pipeline("AuraFlowPipeline", tr, kl(shift=None), t5(32))


def cogview4():
    from transformers import GlmConfig, GlmModel

    tok = unigram(eos=None, bos="<bos>", pad_side="left")
    enc = GlmModel(
        GlmConfig(
            hidden_size=32,
            intermediate_size=8,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            vocab_size=len(tok),
            pad_token_id=0,
        )
    ).eval()
    tr = transformer(
        "CogView4Transformer2DModel",
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        out_channels=4,
        text_embed_dim=32,
        time_embed_dim=8,
        condition_dim=4,
    )
    scheduler = FlowMatchEulerDiscreteScheduler(
        base_shift=0.25,
        max_shift=0.75,
        base_image_seq_len=256,
        use_dynamic_shifting=True,
        time_shift_type="linear",
    )
    return pipeline("CogView4Pipeline", tr, kl(), (enc, tok), scheduler=scheduler)


def wan():
    if diffusers.__version__ < "0.36":
        pytest.importorskip("ftfy", reason="Wan's pipeline of diffusers 0.35 needs it")
    tr = transformer(
        "WanTransformer3DModel",
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=32,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()
    scheduler = FlowMatchEulerDiscreteScheduler(shift=7.0)
    return pipeline("WanPipeline", tr, vae, t5(32), scheduler=scheduler, transformer_2=None)


def cogvideox():
    tr = transformer(
        "CogVideoXTransformer3DModel",
        num_attention_heads=4,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=2,
        sample_width=2,
        sample_height=2,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=16,
    )
    vae = diffusers.AutoencoderKLCogVideoX(
        in_channels=3,
        out_channels=3,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    ).eval()
    return pipeline("CogVideoXPipeline", tr, vae, t5(32), scheduler=DDIMScheduler())


def ltx():
    tr = transformer(
        "LTXVideoTransformer3DModel",
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=32,
    )
    vae = diffusers.AutoencoderKLLTXVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    ).eval()
    vae.use_framewise_encoding = False
    vae.use_framewise_decoding = False
    return pipeline("LTXPipeline", tr, vae, t5(32))


def hidream():
    from transformers import LlamaConfig, LlamaForCausalLM

    tr = transformer(
        "HiDreamImageTransformer2DModel",
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=[32, 16],
        text_emb_dim=64,
        num_routed_experts=2,
        num_activated_experts=1,
        axes_dims_rope=(4, 2, 2),
        max_resolution=(32, 32),
        llama_layers=[1, 0, 1, 0],
    )
    tok = unigram(eos=None, bos="<bos>")
    torch.manual_seed(4)
    llama = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            vocab_size=len(tok),
            attn_implementation="eager",
        )
    ).eval()
    clips = [clip(CLIPTextModelWithProjection, positions=128) for _ in range(2)]
    pipe = pipeline("HiDreamImagePipeline", tr, kl(), *clips, t5(32), (llama, tok))
    pipe.default_sample_size = 16  # of latents, where the real one has 128
    return pipe


ALL = {
    "sd3": sd3,
    "flux": flux,
    "chroma": chroma,
    "pixart": pixart,
    "qwen": qwen,
    "zimage": zimage,
    "flux2": flux2,
    "sana": sana,
    "lumina2": lumina2,
    "hunyuan": hunyuan,
    "aura": aura,
    "cogview4": cogview4,
    "wan": wan,
    "cogvideox": cogvideox,
    "ltx": ltx,
    "hidream": hidream,
}
