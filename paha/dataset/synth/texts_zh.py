"""The Mandarin grammar of `paha.dataset.synth.texts`: a name stands for any of its expansions."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


GRAMMAR_CMN: dict[str, list[str]] = {
    "sentence": _words("""
        {clause}。 {clause}，{link}{clause}。 {opener}，{clause}。 {when}，{clause}。
        {opener}，{clause}，{link}{clause}。 {question}？ {advice}。 {advice}，{reason}。 {clause}，{reason}。
        {list}。 {exclaim}！ {person}说，{clause}。"""),
    "clause": _words("""
        {person}{when}{verb}{object} {person}{place}{verb}{object} {person}{will}{verb}{object}
        {object}{very}{quality} {person}觉得{object}{very}{quality} {person}和{person}一起{verb}{object}
        {place}有{number}{thing} {person}从来没有{verb}过{object} {person}{manner}{verb}{object}
        {person}把{object}放{place} {noun}比{noun}更{quality} {person}打算{when}{verb}{object}"""),
    "question": _words("""
        {person}为什么{verb}{object} 你{when}{verb}过{object}吗 {object}是不是{very}{quality}
        谁{place}{verb}{object} 我们{will}怎么{verb}{object}呢 {place}一共有多少{noun} 你喜欢{noun}还是{noun}"""),
    "advice": _words("""
        请{manner}{verb}{object} 大家先{verb}{object}，然后再{verb}{object} 千万不要{place}{verb}{object}
        让我们一起{verb}{object} 你们看，{object}{very}{quality} {when}别忘了{verb}{object}"""),
    "list": _words("""
        我买了{noun}、{noun}和{noun} 第一，{clause}，第二，{clause} 不管是{noun}还是{noun}，都{very}{quality}
        这里有三样东西：{noun}、{noun}、{noun}"""),
    "exclaim": _words("""
        多么{quality}的{noun}啊 {object}真{quality} {person}又{verb}{object}了 欢迎大家来{verb}{object}"""),
    "reason": _words("""
        因为{object}{very}{quality} 所以{person}{will}{verb}{object} 不然{person}就{will}{verb}{object}
        虽然{noun}{very}{quality} 只要{person}{manner}{verb}{object}"""),
    "object": _words("""
        {number}{thing} {quality}的{noun} 我的{noun} 这个{noun} 那{number}{thing} {noun} 他们的{noun} 每一{thing}
        {place}的{noun} 所有的{noun}"""),
    "person": _words("""
        我 你 他 她 我们 他们 大家 妈妈 爸爸 老师 小王 老张 李明 马波 我的朋友 那位医生 年轻的画家 外婆 邻居
        孩子们 服务员 司机 校长 很多人 一个学生 农民 科学家 记者 叔叔 妹妹"""),
    "will": _words("会 应该 可以 必须 想 可能 愿意 不能 准备 希望"),
    "very": _words("很 非常 特别 有点 不太 太 比较 一直 越来越 并不"),
    "opener": _words("""
        其实 比如说 总的来说 你知道吗 老实说 当然 首先 另外 后来 不过 说到底 换句话说 一般来说 没想到 幸好
        各位朋友 对我来说 有一次 大家好 除此以外"""),
    "link": _words("但是 所以 而且 因为 不过 于是 然后 可是 同时 后来 结果 甚至"),
    "when": _words("""
        昨天 明天 今天早上 晚上 去年夏天 每个星期 下午三点 上个月 刚才 现在 春天 放假的时候 吃饭以前 下雨以后 周末
        半夜 八月十五 一九八四年 两年以前 马上"""),
    "place": _words("""
        在公园里 在桌子上 在学校 在河边 在市场 在北京 在图书馆 在海边 在房子后面 在窗户旁边 在路上 在山上 在家里
        在博物馆 在厨房 在飞机场 在办公室 在月球上 在小村子里 在桥下面"""),
    "manner": _words("慢慢地 认真地 高兴地 悄悄地 马上 一步一步地 小心地 大声地 常常 很快地 偷偷地 用双手"),
    "number": _words("一 两 三 四 五 八 十 十几 几 三十六 一百 好几"),
    "thing": _words("""
        本书 个苹果 张地图 只猫 朵花 辆车 座山 条鱼 把雨伞 幅画 个问题 棵树 瓶水 个朋友 封信 间屋子 部电影 匹马
        首歌 台电脑 杯咖啡 个办法 块面包 只鸟 架飞机 家商店"""),
    "noun": _words("""
        书 苹果 地图 葡萄 花瓶 汽车 大山 米饭 雨伞 图画 问题 树木 牛奶 朋友 信 房子 电影 白马 音乐 电脑 咖啡 办法
        面包 小鸟 飞机 商店 天气 月亮 河水 桥 历史 故事 菠萝 辣椒 茶壶 母语 毛衣 钢琴 报纸 邮票 蘑菇 蝴蝶 泡泡
        木头 玻璃 棉花 火车 比赛 计划 消息 梦想 机器人 石头 宝贝 包子 帽子 火锅 风筝 西瓜 数学 实验"""),
    "quality": _words("""
        漂亮 便宜 有名 安静 奇怪 简单 重要 好吃 新鲜 温暖 明白 可怕 热闹 方便 普通 美丽 古老 聪明 干净 宝贵 复杂
        有趣 轻松 难忘 巨大 平凡 柔软 明亮 破旧 贵 多 大 小 宽 慢 薄"""),
    "verb": _words("""
        看 买 找到 打开 画 保护 搬 喜欢 借 发现 修理 写 改变 忘记 带来 参观 研究 准备 讨论 帮助 送 卖 学习 比较
        描写 洗 拍 用 介绍 测量 明白 选择 品尝 表演 跑去看 摸 分享"""),
}
